"""What protects the browser: response headers, cookies, and proof that a form is ours.

Promise: every response carries a content policy without ``unsafe-*`` unless its
handler set a narrower one for itself; pages of the studio are never stored;
pages whose address holds a token send no referrer. A form of the studio counts
only if the browser says that it came from here and it carries a token bound to
the session (threat T16). Addresses in pages are relative, and those in mail are
built on BASE_URL: a forged Host header changes nothing (T15).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.kit import tokens

STUDIO: Final = ("/studio", "/sign-in", "/sign-out", "/api/")
TOKEN_PAGES: Final = ("/confirm/", "/u/", "/p/", "/sign-in/link/")
NO_STORE: Final = "no-store"

POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: https:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
# A mail shown in a page: its styles stand in its markup, so it gets a world of
# its own, without scripts, without our origin and without the network but for pictures.
MAIL_POLICY: Final = {
    "default-src": "'none'",
    "style-src": "'unsafe-inline'",
    "img-src": "'self' data: https: http:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "sandbox": "allow-popups allow-popups-to-escape-sandbox",
}
PERMISSIONS: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"


def policy(rules: Mapping[str, str]) -> str:
    """Write a Content-Security-Policy."""
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def headers_for(path: str, *, secure: bool) -> dict[str, str]:
    """Return the headers that a response for ``path`` has unless its handler says otherwise."""
    rules = dict(POLICY) if secure else {**POLICY, "img-src": POLICY["img-src"] + " http:"}
    headers = {
        "Content-Security-Policy": policy(rules),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": PERMISSIONS,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if path.startswith(STUDIO):
        # same-origin, not no-referrer: under the latter browsers send "Origin: null" with our own forms.
        headers |= {"Cache-Control": NO_STORE, "Referrer-Policy": "same-origin"}
    if path.startswith(TOKEN_PAGES):
        headers |= {"Cache-Control": NO_STORE, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    return headers


class SecurityHeaders:
    """ASGI middleware that adds ``headers_for`` to every response."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the headers of its response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in headers_for(scope["path"], secure=self.secure).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, complete)


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the name that makes browsers refuse the cookie from a subdomain or over plain HTTP."""
    return f"__Host-newsletter-{name}" if secure else f"newsletter-{name}"


def form_token(secret: bytes, key: str) -> str:
    """Return the token that forms carry for the browser whose cookie holds ``key``."""
    return hmac.digest(tokens.derive(secret, "form"), key.encode(), "sha256").hex()


def is_ours(request: Request, *, base_url: str, token: str, expected: str) -> bool:
    """Tell whether a form was sent by one of our own pages."""
    return _same_origin(request, base_url) and hmac.compare_digest(token.encode(), expected.encode())


def _same_origin(request: Request, base_url: str) -> bool:
    """Judge by Fetch metadata, else by Origin; a browser lets no page forge either."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin in (None, "null"):
        return True  # not told (an old browser, or our own no-referrer page over plain HTTP): the token decides
    return urlsplit(origin).netloc in (urlsplit(base_url).netloc, request.headers.get("host", ""))


def local_path(text: str, default: str) -> str:
    """Return ``text`` if it is a path on this server, else ``default`` (no open redirect, T8)."""
    plain = text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else default
