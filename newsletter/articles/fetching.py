"""A safe HTTP GET for addresses that other people choose.

Promise: ``fetch`` returns a whole body within its limits of size and time, or
"not modified", or raises ``FetchError`` with one sentence that says what was
wrong and what to do. It speaks to http and https only, sends no credentials,
follows at most five redirects by hand, and opens every connection through
``GuardedNetwork``, so private addresses are out of reach (threat T19). Proxies
named by the environment are not used: they would resolve names by themselves.
It does not look at what it fetched.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

import newsletter
from newsletter.articles.network import GuardedNetwork
from newsletter.errors import FetchError, UnsafeAddress

SECONDS: Final = 20.0
MAX_BYTES: Final = 5_000_000  # counted after decompression
MAX_REDIRECTS: Final = 5
MAX_ETAG: Final = 500
MAX_LAST_MODIFIED: Final = 100
USER_AGENT: Final = f"newsletter/{newsletter.__version__} (weekly round-up; reads feeds)"
FEEDS: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, application/json;q=0.8, "
    "text/xml;q=0.8, */*;q=0.5"
)
PAGES: Final = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"

_PERMANENT: Final = frozenset({301, 308})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ADVICE: Final = {
    401: "asks for a login (401); ask the site for an address that can be read without one",
    403: "refuses to show it (403); ask the site to let “newsletter” read it",
    404: "has nothing there (404); check the address",
    410: "says that it is gone for good (410); remove the source or give its new address",
    429: "says that it is asked too often (429); it will be tried again later",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back: a body, or ``not_modified`` and none."""

    url: str  # where the body came from, after redirects
    permanent_url: str  # the address to ask next time: what was asked, or where it moved for good
    not_modified: bool
    body: bytes
    content_type: str
    etag: str
    last_modified: str


def fetch(
    url: str,
    *,
    allow: tuple[str, ...],
    accept: str = FEEDS,
    etag: str = "",
    last_modified: str = "",
    seconds: float = SECONDS,
) -> Fetched:
    """GET ``url``; ``etag`` and ``last_modified`` make it conditional (RFC 9110, 13.1).

    ``allow`` names private hosts and networks that may be fetched nevertheless.
    Raises ``FetchError``, or ``UnsafeAddress`` for one that may not be asked.
    """
    headers = {"Accept": accept, "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": last_modified} if last_modified else {}
    try:
        with httpx2.Client(transport=_Transport(allow, seconds), headers=headers, trust_env=False) as client:
            return _follow(client, url)
    except httpcore2.TimeoutException as error:
        raise FetchError(f"{_host(url)} took longer than {seconds:.0f} seconds; it will be tried again.") from error
    except httpcore2.NetworkError as error:
        raise FetchError(_connection_problem(url, error)) from error
    except (httpcore2.ProtocolError, httpx2.DecodingError, httpx2.RemoteProtocolError) as error:
        raise FetchError(f"{_host(url)} broke off or garbled its answer; it will be tried again.") from error
    except httpx2.InvalidURL as error:
        raise FetchError(f"“{url}” is no web address.") from error


def _follow(client: httpx2.Client, url: str) -> Fetched:
    """Follow redirects one by one: each is checked, and those that are permanent are remembered."""
    permanent, lasting = url, True
    seen = [url]
    while True:
        _check(url)
        with client.stream("GET", url, follow_redirects=False) as response:
            location = response.headers.get("Location", "")
            if response.status_code not in _REDIRECTS or not location:
                return _answer(response, url, permanent)
            lasting = lasting and response.status_code in _PERMANENT
        url = _target(url, location)
        permanent = url if lasting else permanent
        if url in seen:
            raise FetchError(f"{_host(url)} redirects in a circle; check the address in a browser.")
        if len(seen) > MAX_REDIRECTS:
            raise FetchError(f"{_host(url)} redirects more than {MAX_REDIRECTS} times; give the final address.")
        seen.append(url)


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise FetchError(f"{_host(url)} redirects to “{location}”, which is no web address.") from error


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FetchError(f"“{url}” is no web address.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnsafeAddress(f"“{url}” is not fetched: the address must start with http:// or https://.")
    if "@" in parts.netloc:
        raise UnsafeAddress(f"The address at {parts.hostname} holds a user name or password; remove it.")


def _answer(response: httpx2.Response, url: str, permanent: str) -> Fetched:
    not_modified = response.status_code == httpx2.codes.NOT_MODIFIED
    if not not_modified and not response.is_success:
        raise FetchError(_status_problem(response.status_code, url))
    return Fetched(
        url=url,
        permanent_url=permanent,
        not_modified=not_modified,
        body=b"" if not_modified else _body(response, url),
        content_type=response.headers.get("Content-Type", ""),
        etag=_to_send_back(response.headers.get("ETag", ""), MAX_ETAG),
        last_modified=_to_send_back(response.headers.get("Last-Modified", ""), MAX_LAST_MODIFIED),
    )


def _to_send_back(value: str, longest: int) -> str:
    """Return a validator as it came, or none: a changed one would never match."""
    return value if len(value) <= longest and value.isascii() and value.isprintable() else ""


def _body(response: httpx2.Response, url: str) -> bytes:
    """Read piece by piece, so that neither a huge body nor a small one that inflates is ever held whole."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            raise FetchError(
                f"{_host(url)} answers with more than {MAX_BYTES // 1_000_000} MB; give a feed with fewer stories."
            )
    return bytes(body)


def _status_problem(status: int, url: str) -> str:
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return f"{_host(url)} has a fault of its own (HTTP {status}); it will be tried again."
    return f"{_host(url)} {_ADVICE.get(status, f'answers with HTTP {status}; check the address')}."


def _connection_problem(url: str, error: httpcore2.NetworkError) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate of {_host(url)} is not valid ({cause.verify_message}); tell the site."
    if isinstance(cause, ssl.SSLError):
        return f"No secure connection to {_host(url)} could be made ({cause.reason or cause}); tell the site."
    if isinstance(cause, ConnectionRefusedError):
        return f"{_host(url)} refuses the connection; the server may be down and will be tried again."
    return f"No connection to {_host(url)} ({error}); it will be tried again."


def _host(url: str) -> str:
    return urlsplit(url).netloc


class _Transport(httpx2.BaseTransport):
    """Carries httpx2's requests over a guarded network; its own transport takes no network of ours."""

    def __init__(self, allow: tuple[str, ...], seconds: float) -> None:
        self._pool = httpcore2.ConnectionPool(network_backend=GuardedNetwork(allow, seconds))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Stream(answer))

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
