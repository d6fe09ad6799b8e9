"""Setting plain text for the text/plain twin: wrapped lines and underlined headings.

Promise: no line is longer than 76 characters, except one with a word that must
not be broken: a web address, or the mark of a reader's field. Other words longer
than a line, and scripts without blanks, are cut at the line's end.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

from newsletter.editions.marks import SHAPE

WIDTH: Final = 76

_LONG = re.compile(rf"\S{{{WIDTH + 1},}}")
_WHOLE = re.compile(rf"://|{SHAPE}")


def wrapped(text: str) -> str:
    """Return one paragraph in lines of at most ``WIDTH`` characters."""
    breakable = _LONG.sub(lambda match: _cut(match[0]), text)
    return textwrap.fill(breakable, WIDTH, break_long_words=False, break_on_hyphens=False)


def underlined(text: str, mark: str = "-") -> str:
    """Return a heading with a rule of ``mark`` under it, as wide as its longest line."""
    heading = wrapped(text)
    rule = mark * max(map(len, heading.split("\n")))
    return f"{heading}\n{rule}"


def _cut(word: str) -> str:
    if _WHOLE.search(word):
        return word
    return " ".join(word[start : start + WIDTH] for start in range(0, len(word), WIDTH))
