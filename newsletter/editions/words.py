"""People's words, made safe to put in a message.

Promise: what comes out has no control character (C0, C1, U+2028, U+2029, lone
surrogates), so that no word can start a header, end a line or clip a mail. C1
code points are read as the Windows-1252 characters that they were meant to be;
Gmail cuts a message short at a raw one. It changes nothing else: no spelling,
no quotation marks, no direction marks.
"""

from __future__ import annotations

import re

_BREAKS = re.compile(r"\r\n?|[\v\f\u0085\u2028\u2029]")
_C1 = re.compile(r"[\u0080-\u009f]")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"[ \t\n]+")
_EMPTY_LINES = re.compile(r"\n[ \t]*\n\s*")


def _meant(match: re.Match[str]) -> str:
    return match[0].encode("latin-1").decode("cp1252", "ignore")


def cleaned(text: str) -> str:
    """Return the text with plain line feeds and without control characters."""
    return _FORBIDDEN.sub("", _C1.sub(_meant, _BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """Return the text as one line, blanks run together; for headlines, names and headers."""
    if text.isprintable() and "  " not in text:  # nothing to clean: nearly every name of every reader
        return text.strip(" ")
    return _BLANKS.sub(" ", cleaned(text)).strip(" ")


def paragraphs(text: str) -> tuple[str, ...]:
    """Cut a plain text at its empty lines; each paragraph is one line."""
    return tuple(line for block in _EMPTY_LINES.split(cleaned(text)) if (line := one_line(block)))
