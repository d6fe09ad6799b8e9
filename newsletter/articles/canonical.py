"""One name for each story: canonical addresses, and keys that tell whether two are the same.

Promise: no function here raises, whatever text it is given, and ``canonical`` is
idempotent. ``canonical`` gives an address that still opens (scheme, "www." and
the trailing slash stay as the site wrote them); ``url_key`` gives the name under
which it is compared (they do not count). Neither asks the network, so a redirect
or a shortener is a different address.

Normalisation after RFC 3986, section 6.2.2 and 6.2.3.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

MAX_URL: Final = 2000
MAX_KEY: Final = 1000  # PostgreSQL indexes at most 2,704 bytes of a row

_PORTS: Final = {"http": 80, "https": 443}
_TRACKING_PREFIXES: Final = ("utm_", "mc_", "pk_", "mtm_", "hsa_", "vero_", "oly_", "_hs")
# fmt: off
_TRACKING: Final = frozenset({
    "__twitter_impression", "at_campaign", "at_medium", "cmpid", "dclid", "fbclid", "gbraid", "gclid",
    "gclsrc", "hsctatracking", "igsh", "igshid", "li_fat_id", "mkt_tok", "msclkid", "ncid",
    "ref_src", "ref_url", "s_cid", "ttclid", "twclid", "wbraid", "wt_mc", "yclid",
})
# fmt: on
_INDEX: Final = re.compile(r"/(?:index\.(?:html?|php|shtml|aspx?|jsp)|default\.aspx?)$", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_web_address(url: str) -> bool:
    """Whether ``url`` is an absolute http or https address with a host."""
    return _web_parts(url) is not None


def canonical(url: str) -> str:
    """Return the address a reader opens: tidied, without tracking parameters, credentials and fragment."""
    parts = _web_parts(url)
    if parts is None:
        return _encodable(url).strip()
    path = _without_dots(_escaped(parts.path)) or "/"
    fragment = _escaped(parts.fragment) if parts.fragment.startswith("!") else ""  # some sites route by "#!/story"
    return urlunsplit((parts.scheme, _authority(parts), path, _query(parts.query), fragment))


def resolved(base: str, url: str) -> str:
    """Return ``url`` as an absolute address, seen from ``base``; one that cannot be is returned as it is."""
    try:
        return urljoin(base, url.strip())
    except ValueError:
        return url


def url_key(url: str) -> str:
    """Return what two addresses of one page have in common; at most ``MAX_KEY`` characters of ASCII."""
    parts = _web_parts(canonical(url))
    if parts is None:
        return short(quote(_encodable(url).strip(), safe=""))
    host = parts.netloc.removeprefix("www.")
    path = _INDEX.sub("/", parts.path).rstrip("/")
    rest = (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    return short(host + path + rest)


def headline_key(headline: str) -> str:
    """Return the words of a headline, case and punctuation aside, for finding the same story elsewhere."""
    folded = unicodedata.normalize("NFKC", headline).casefold().replace("’", "").replace("'", "")
    return " ".join("".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in folded).split())[:500]


def short(key: str) -> str:
    """Return ``key``, or a beginning of it and a hash when an index would refuse its length in bytes."""
    raw = key.encode(errors="ignore")
    if len(raw) <= MAX_KEY:
        return key
    return raw[: MAX_KEY - 100].decode(errors="ignore") + "#" + hashlib.sha256(raw).hexdigest()


def _encodable(text: str) -> str:
    """Drop lone surrogates, which JSON can hold and no address can."""
    return text.encode(errors="ignore").decode()


def _web_parts(url: str) -> SplitResult | None:
    """Split a web address; None when it is none (another scheme, no host, a port that is no number)."""
    try:
        parts = urlsplit(_encodable(url).strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in _PORTS and (parts.hostname or "").strip(".") else None


def _authority(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    try:
        host = host.encode("idna").decode("ascii").rstrip(".").lower()
    except UnicodeError:  # an empty or overlong label: no such host, but still one and the same name
        host = quote(host, safe="%:-._~").lower()
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS[parts.scheme]) else f"{host}:{parts.port}"


def _query(query: str) -> str:
    """Drop tracking parameters and empty ones; the others keep order and spelling."""
    kept = (pair for pair in query.split("&") if pair and not _tracks(pair.partition("=")[0]))
    return "&".join(_escaped(pair) for pair in kept)


def _tracks(name: str) -> bool:
    plain = unquote_to_bytes(name).decode(errors="replace").lower()
    return plain in _TRACKING or plain.startswith(_TRACKING_PREFIXES)


def _escaped(text: str) -> str:
    """Escape what must be, unescape what need not be, and write escapes in upper case."""
    text = _ESCAPE.sub(_unescaped_if_plain, _STRAY_PERCENT.sub("%25", text))
    return quote(text, safe="%/:?@!$&'()*+,;=-._~[]")


def _unescaped_if_plain(escape: re.Match[str]) -> str:
    char = chr(int(escape[1], 16))
    return char if char in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    """Resolve "." and ".." segments (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            kept = kept[:-1] if len(kept) > 1 else kept  # the first one is the root's empty name
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
