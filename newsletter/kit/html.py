"""Words and facts out of markup that strangers wrote.

Promise: any input, however broken, deep or hostile, is read in time and memory
that grow with its length; text comes out with its entities decoded exactly once
and without control characters, characters that hide or reorder text, and lone
surrogates, so that it can be stored, searched and printed anywhere. It reads
tags one after another and builds no tree: the HTML standard's tree needs time
and memory that grow with the square of what a hostile page sends. It does not
make markup safe to show, since nothing that it returns is markup.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

_ELSEWHERE: Final = frozenset({"button", "iframe", "noscript", "object", "select", "svg", "template", "title"})
# fmt: off
_BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li",
    "main", "nav", "ol", "option", "p", "pre", "section", "table", "td", "th", "tr", "ul",
})
# fmt: on
_RAW: Final = frozenset({"script", "style"})  # their content is not markup

_NAME: Final = re.compile(r"/?([A-Za-z][^\s/>]*)")
_ATTRIBUTE: Final = re.compile(r"""[\s/]*(?:(>)|([^\s/>][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"'][^\s>]*)?)?)""")
_ENDLESS: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{8,});?")  # no code point has so many digits

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f]")
# C1 controls are Windows-1252 that somebody took for Latin-1: U+0092 is meant to be an apostrophe.
_WINDOWS: Final = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
# Soft hyphen, zero-width space, word joiner and its kin, byte order mark, directional
# embeddings and isolates, annotation marks, object placeholder, surrogates, noncharacters.
# Joiners and direction marks stay: Persian, Hindi, Hebrew and emoji are misspelt without them.
_HIDDEN: Final = re.compile(
    "[\u00ad\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u206f\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)


class Token(NamedTuple):
    """One piece of markup: a start tag, an end tag, text, or the inside of a script or style."""

    kind: Literal["start", "end", "text", "raw"]
    name: str  # of the element, in lower case; of the enclosing one for "raw"
    text: str  # entities decoded in "text"
    attributes: dict[str, str]  # of "start": names in lower case, values decoded


def tidy(text: str) -> str:
    """Return ``text`` on one line: C1 controls mapped, hidden characters and needless spaces gone, in NFC."""
    text = _HIDDEN.sub("", text.translate(_WINDOWS))
    return unicodedata.normalize("NFC", " ".join(_CONTROLS.sub(" ", text).split()))


def paragraphs(markup: str, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Return the tidied text of each block in order, empty ones left out; ``without`` names elements to skip."""
    hidden = _ELSEWHERE | without
    blocks: list[list[str]] = [[]]
    skipping, depth = "", 0
    for token in tokens(markup):
        if skipping:
            if token.name == skipping:
                depth += {"start": 1, "end": -1}.get(token.kind, 0)
            skipping = skipping if depth else ""
        elif token.kind == "text":
            blocks[-1].append(token.text)
        elif token.kind == "start" and token.name in hidden:
            skipping, depth = token.name, 1
        elif token.name in _BLOCKS:
            blocks.append([])
    return [line for line in (tidy("".join(block)) for block in blocks) if line]


def plain_text(markup: str) -> str:
    """Return all the text of ``markup`` on one line."""
    return " ".join(paragraphs(markup))


def tokens(markup: str) -> Iterator[Token]:
    """Read ``markup`` from left to right; what is left open at its end (a tag, a comment) is dropped."""
    position = 0
    while position < len(markup):
        start = markup.find("<", position)
        if start < 0:
            start = len(markup)
        if start > position:
            yield Token("text", "", _decoded(markup[position:start]), {})
        if start == len(markup):
            return
        named = _NAME.match(markup, start + 1)
        if named is None:
            position, text = _no_tag(markup, start)
            if text:
                yield Token("text", "", text, {})
            continue
        name = named[1].lower()
        attributes, position = _attributes(markup, named.end())
        if markup[start + 1] == "/":
            yield Token("end", name, "", {})
            continue
        yield Token("start", name, "", attributes)
        if name in _RAW:
            end = _end_tag(markup, name, position)
            yield Token("raw", name, markup[position:end], {})
            position = end


def _no_tag(markup: str, start: int) -> tuple[int, str]:
    """Step over a comment, a declaration or an instruction; a "<" that opens nothing is text."""
    if markup.startswith("<!--", start):
        end, length = markup.find("-->", start + 4), 3
    elif markup[start + 1 : start + 2] in ("!", "?", "/"):
        end, length = markup.find(">", start + 1), 1
    else:
        return start + 1, "<"
    return (len(markup) if end < 0 else end + length), ""


def _attributes(markup: str, position: int) -> tuple[dict[str, str], int]:
    """Read a tag from behind its name; return its attributes, the first of each name, and where it ends."""
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(markup, position):
        end, name, value = found.groups()
        position = found.end()
        if end:
            return attributes, position
        value = value or ""
        if value[:1] in ('"', "'"):
            value = value[1:-1]
        attributes.setdefault(name.lower(), _decoded(value))
    return attributes, len(markup)


def _end_tag(markup: str, name: str, position: int) -> int:
    found = re.compile(rf"</{name}", re.IGNORECASE).search(markup, position)
    return found.start() if found else len(markup)


def _decoded(text: str) -> str:
    return html.unescape(_ENDLESS.sub("\ufffd", text)) if "&" in text else text
