"""Reads a mail of unknown quality into a small tree.

Promise: any bytes give a ``Part``; nothing raises and the work grows linearly
with the size. Line ends may be CR, LF or CRLF; boundaries, headers and charsets
may be wrong or missing. At most ``MAX_BYTES`` are looked at, ``MAX_DEPTH`` levels
and ``MAX_PARTS`` parts. Reports put what matters first, so what lies beyond is
left alone. It is a reader for machine-made reports, not a general mail parser:
the standard library's is several times slower and raises on some real reports.
"""

from __future__ import annotations

import base64
import binascii
import html
import quopri
import re
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header

MAX_BYTES = 512 * 1024
MAX_DEPTH = 6
MAX_PARTS = 60
MAX_TEXT = 32 * 1024  # of one decoded text

_UNFOLD = re.compile(r"\n[ \t]+")
_FIELD = re.compile(r"^([!-9;-~]{1,80})[ \t]*:[ \t]*(.*)$")
_TYPE = re.compile(r"\s*[\w.+-]{1,60}/[\w.+-]{1,60}")
_PARAM = re.compile(r"[;\s]\s*([a-z-]{1,40})\s*=\s*(?:\"([^\"]*)\"|([^;\s\"]+))", re.IGNORECASE)
# Only charsets that hold text: Python also knows codecs that decompress or that yield half characters.
_TEXT_CHARSET = re.compile(
    r"(us-ascii|ascii|utf-?8|utf-?16|utf-?16[bl]e|utf-?7|iso-?8859-?\d+|windows-?\d+|cp\d+|koi8-?[ru]|big5\w*|"
    r"gb\w+|euc[-_]\w+|iso-?2022-\w+|shift[-_]?jis|sjis|ks_c\w*|macroman|tis-?620)\Z"
)
# Not <someone@example.org>, which sloppy reports leave unescaped; bounded, so that no run of "@" costs much.
_TAG = re.compile(r"<(?![^<>\s@]{1,64}@[^<>\s@]{1,255}>)[^<>]*>")
_BREAK = re.compile(r"<(?:br|p|/p|div|/div|/tr|/td|/th|/h\d|li|hr)\b[^<>]*>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\xa0]+")


@dataclass(slots=True)
class Part:
    """One node: ``fields`` in order with lower-case names, ``body`` still encoded, one character per byte."""

    fields: list[tuple[str, str]]
    body: str
    type: str = "text/plain"
    params: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return the first field of that (lower-case) name, unfolded, or the empty string."""
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every field of that name."""
        return [value for key, value in self.fields if key == name]

    def words(self, name: str) -> str:
        """Return the field with its RFC 2047 words decoded as far as they can be."""
        value = self.get(name)
        if "=?" not in value:
            return value
        try:
            pieces = decode_header(value[:2000])
        except (ValueError, HeaderParseError):
            return value
        return "".join(p if isinstance(p, str) else _decoded(p, charset or "us-ascii") for p, charset in pieces)

    def text(self) -> str:
        """Return the body as plain text: transfer encoding, charset and markup undone, cut at ``MAX_TEXT``."""
        raw = self._bytes()
        text = _decoded(raw, self.params.get("charset", "us-ascii"))[: 2 * MAX_TEXT].replace("\0", "")
        if self.type == "text/html":
            text = _without_markup(text)
        return text[:MAX_TEXT]

    def _bytes(self) -> bytes:
        raw = self.body[: 4 * MAX_TEXT].encode("latin-1", "replace")
        encoding = self.get("content-transfer-encoding").strip().lower()
        if encoding == "quoted-printable":
            return quopri.decodestring(raw)
        if encoding == "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
            try:
                return base64.b64decode(letters[: len(letters) // 4 * 4])
            except binascii.Error:
                return raw
        return raw

    def walk(self) -> list[Part]:
        """Return this part and all below it, in order of appearance."""
        found = [self]
        for child in self.children:
            found.extend(child.walk())
        return found


def read(raw: bytes) -> Part:
    """Return the tree of a message."""
    lines = raw[:MAX_BYTES].replace(b"\0", b"").replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = lines.decode("latin-1")
    return _part(text.lstrip("\n"), 0, [MAX_PARTS], top=True)


def read_fields(text: str) -> tuple[list[tuple[str, str]], str]:
    """Split a block at its first empty line into fields and the rest; a line that is no field ends the fields."""
    head, _, body = text.partition("\n\n") if not text.startswith("\n") else ("", "", text[1:])
    fields: list[tuple[str, str]] = []
    lines = _UNFOLD.sub(" ", head).split("\n")
    for number, line in enumerate(lines):
        match = _FIELD.match(line)
        if match:
            fields.append((match[1].lower(), match[2].strip()))
        elif number == 0 and line.startswith(("From ", ">From ")):
            continue  # a mailbox file's separator
        elif not fields and line:
            return [], text
        elif line.strip():
            rest = "\n".join(lines[number:])
            return fields, f"{rest}\n\n{body}"
    return fields, body


def _part(text: str, depth: int, left: list[int], *, top: bool = False) -> Part:
    left[0] -= 1
    fields, body = read_fields(text)
    part = Part(fields, body)
    header = part.get("content-type")
    if header:
        kind = _TYPE.match(header)
        part.type = kind[0].strip().lower() if kind else part.type
        part.params = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAM.finditer(header[:2000])}
    elif top and fields and body.startswith("--"):
        # A report that lost its Content-Type on the way still shows its boundary.
        part.type, part.params = "multipart/mixed", {"boundary": body[2 : body.find("\n")].strip()}
    if depth < MAX_DEPTH and part.type.startswith("multipart/"):
        pieces = _split(body, part.params.get("boundary", ""))
        part.children = [_part(piece, depth + 1, left) for piece in pieces if left[0] > 0]
        if not part.children:
            part.type = "text/plain"
    return part


def _split(body: str, boundary: str) -> list[str]:
    """Return the pieces between boundary lines; the last one may lack its end."""
    if not boundary:
        return []
    mark = f"\n--{boundary}"
    body = f"\n{body}"
    pieces: list[str] = []
    start = -1
    at = body.find(mark)
    while at >= 0 and len(pieces) < MAX_PARTS:
        end_of_line = body.find("\n", at + 1)
        end_of_line = len(body) if end_of_line < 0 else end_of_line
        tail = body[at + len(mark) : end_of_line].strip()
        if tail in ("", "--"):
            if start >= 0:
                pieces.append(body[start:at])
            start = end_of_line + 1
            if tail:
                return pieces
        at = body.find(mark, at + len(mark))
    if 0 <= start < len(body):
        pieces.append(body[start:])
    return pieces


def _decoded(raw: bytes, charset: str) -> str:
    name = charset.strip().lower()
    if not _TEXT_CHARSET.match(name) or name in ("us-ascii", "ascii"):
        name = "utf-8"  # what is sent as ASCII with other bytes in it is most often UTF-8
    try:
        text = raw.decode(name)
    except (LookupError, UnicodeError):
        text = raw.decode("utf-8", "replace") if name != "utf-8" else raw.decode("latin-1")
    # A stray half of a UTF-16 pair could not be stored.
    return text.encode("utf-8", "replace").decode("utf-8")


def _without_markup(text: str) -> str:
    """Return the words of HTML, block by block on lines of their own."""
    pieces: list[str] = []
    lower = text.lower()
    at = 0
    for start_tag, end_tag in (("<style", "</style>"), ("<script", "</script>")):
        pieces, at = [], 0
        while (start := lower.find(start_tag, at)) >= 0:
            pieces.append(text[at:start])
            end = lower.find(end_tag, start)
            at = len(text) if end < 0 else end + len(end_tag)
        pieces.append(text[at:])
        text = "".join(pieces)
        lower = text.lower()
    text = _BREAK.sub("\n", text.replace("\n", " "))
    return _BLANKS.sub(" ", html.unescape(_TAG.sub("", text)))
