"""Bytes from the web into text, without losing a document to one bad byte.

Promise: ``decode`` returns text for any bytes. What is valid UTF-8 is read as
such whatever it says about itself; bytes that fit no declared encoding are read
as Windows-1252 one by one, which is what they nearly always are, so a Latin-1
document that calls itself UTF-8 and a UTF-8 one with a single stray byte both
come out right.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_MARKS: Final = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED: Final = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"), (b"{\0", "utf-16-le"), (b"\0{", "utf-16-be"))
_DECLARED: Final = (
    re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})"""),
    re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9._-]{1,40})""", re.IGNORECASE),
)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
# Not encodings of documents, or (the wide ones) already told by their first bytes.
_NO_CHARSETS: Final = frozenset(
    {
        "idna",
        "punycode",
        "undefined",
        "unicode-escape",
        "raw-unicode-escape",
        "utf-7",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
    }
)
_WINDOWS: Final = frozenset({"iso8859-1", "ascii"})  # those who declare these mean Windows-1252 (WHATWG Encoding, 4.2)


def decode(body: bytes, content_type: str = "") -> str:
    """Return the text of ``body``; ``content_type`` is the header that came with it."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors=_REPAIR if encoding == "utf-8" else "replace")
    for beginning, encoding in _UNMARKED:
        if body.startswith(beginning):
            return body.decode(encoding, errors="replace")
    declared = _declared(body, content_type)
    for encoding in ("utf-8", declared) if b"\x1b" not in body else (declared, "utf-8"):  # ISO-2022 is 7-bit
        try:
            return body.decode(encoding)
        except (UnicodeError, LookupError):  # LookupError: a codec that is not for text, such as "base64"
            continue
    return body.decode("utf-8", errors=_REPAIR)


def _declared(body: bytes, content_type: str) -> str:
    """Return the name of the encoding that header or document declare, if it is one for text."""
    head = body[:2000]
    names = [_CHARSET.search(content_type), *(pattern.search(head) for pattern in _DECLARED)]
    for found in names:
        name = _codec(found[1]) if found else ""
        if name:
            return "cp1252" if name in _WINDOWS else name
    return "utf-8"


def _codec(name: str | bytes) -> str:
    """Return Python's name of an encoding, or nothing."""
    try:
        found = codecs.lookup(name.decode("ascii") if isinstance(name, bytes) else name).name
    except LookupError:
        return ""
    return "" if found in _NO_CHARSETS else found


def _windows_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_REPAIR: Final = "newsletter.cp1252"
codecs.register_error(_REPAIR, _windows_byte)
