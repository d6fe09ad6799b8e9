"""Words to bytes, for each place of a message: headers (RFC 2047) and bodies (RFC 2045 quoted-printable).

Promise: what comes out is 7-bit, has CRLF line ends only, no physical line is
longer than 76 octets and none starts with a dot, so that SMTP's dot-stuffing
never changes a byte. Every piece of a body starts at column 0 and its last line
leaves room for a soft line break, so that pieces can be joined around slots.
The standard library's encoders keep neither the dot nor the joins; that is why
these exist.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

LINE = 75  # octets of a body line before its soft break
WORD = 64  # octets of an encoded word; RFC 2047, section 2, allows 75, in lines of 76 with the header's name
FOLD = b"\r\n "
SOFT = b"=\r\n"

_ESCAPED = re.compile(rb"[^ -<>-~]")  # in a body: all but printable ASCII without "="
_ESCAPED_WORD = re.compile(rb"[^A-Za-z0-9!*+/-]")  # in a word: what RFC 2047, 5 (3) allows in a phrase, without "_"
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def _hex(match: re.Match[bytes]) -> bytes:
    return b"=%02X" % match[0][0]


def _physical_lines(encoded: bytes) -> Iterator[bytes]:
    """Cut one encoded line into pieces of at most ``LINE`` octets, never inside an =XX, no leading dot."""
    start = 0
    while start < len(encoded) or start == 0:
        dot = encoded.startswith(b".", start)
        end = start + LINE - (2 if dot else 0)
        if end < len(encoded):
            end -= 1 if encoded[end - 1 : end] == b"=" else 2 if encoded[end - 2 : end - 1] == b"=" else 0
        piece = encoded[start:end]
        yield b"=2E" + piece[1:] if dot else piece
        start = end


def quoted_printable(text: str) -> bytes:
    r"""Encode a body or a piece of one; ``\n`` ends a line. The last line is at most 75 octets."""
    lines = []
    for line in text.encode().split(b"\n"):
        encoded = _ESCAPED.sub(_hex, line)
        if encoded.endswith(b" "):  # a blank before a line end may be lost on the way (RFC 2045, 6.7 (3))
            encoded = encoded[:-1] + b"=20"
        lines.append(SOFT.join(_physical_lines(encoded)))
    return b"\r\n".join(lines)


def encoded_words(text: str) -> list[bytes]:
    """Encode a text as RFC 2047 words of at most 64 octets, each of whole characters, Q or B whichever is shorter."""
    raw = text.encode()
    quoted = len(_ESCAPED_WORD.sub(_hex, raw.replace(b" ", b"_")))
    form = _q_word if quoted <= len(raw) * 4 / 3 else _b_word
    whole = form(text)
    if len(whole) <= WORD:  # usual for a name, and once for every mail
        return [whole]
    words: list[bytes] = []
    piece = ""
    for character in text:
        if len(form(piece + character)) > WORD:
            words.append(form(piece))
            piece = ""
        piece += character
    return [*words, form(piece)]


def _q_word(text: str) -> bytes:
    encoded = b"_".join(_ESCAPED_WORD.sub(_hex, part) for part in text.encode().split(b" "))
    return b"=?utf-8?q?" + encoded + b"?="


def _b_word(text: str) -> bytes:
    return b"=?utf-8?b?" + base64.b64encode(text.encode()) + b"?="


def header_text(text: str) -> bytes:
    """Encode one line for an unstructured header such as Subject, folded; plain where it can be."""
    if _PLAIN.fullmatch(text) and "=?" not in text and all(len(word) <= WORD for word in text.split(" ")):
        return _folded(text.encode())
    return FOLD.join(encoded_words(text)) if text else b""


def _folded(raw: bytes) -> bytes:
    lines = [b""]
    for word in raw.split(b" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WORD:
            lines.append(word)
        else:
            lines[-1] = lines[-1] + b" " + word if lines[-1] else word
    return FOLD.join(lines)


def phrase(name: str) -> bytes:
    """Encode a display name: atoms, a quoted string, or encoded words (RFC 5322, 3.2.5; RFC 2047, 5 (3))."""
    if len(name) > WORD or not _PLAIN.fullmatch(name) or "=?" in name:
        return FOLD.join(encoded_words(name))
    if _ATOMS.fullmatch(name):
        return name.encode()
    return b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def mailbox(name: str, address: str) -> bytes:
    """Encode ``name <address>`` for From or To, folded before the address if one line is too short for both."""
    bare = b"<" + address.encode() + b">"
    if not name:
        return bare
    written = phrase(name)
    return written + (b" " if len("From: ") + len(written) + 1 + len(bare) <= LINE else FOLD) + bare
