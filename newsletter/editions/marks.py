"""Opaque marks that hold the places of a reader's data while an issue is rendered.

Promise: a mark is made of ASCII letters and digits, so it comes through Jinja2,
premailer, line wrapping and URLs unchanged, and no text of the issue can contain
one: each carries a hash of that text. After the rendering the document is cut at
its marks and none is left.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from newsletter.editions.compiled import FIELD

SHAPE: Final = "zq[0-9a-f]{12}[0-9]{3}qz"  # a regular expression for what a mark looks like


@dataclass(frozen=True, slots=True)
class Mark:
    """What belongs at a mark: the name of a slot and its default."""

    name: str
    default: str = ""


class Marks:
    """The marks of one edition; ``seed`` is a hash over all that will be rendered."""

    __slots__ = ("_key", "_known", "_pattern")

    def __init__(self, seed: str) -> None:
        self._key = hashlib.sha256(f"marks/{seed}".encode()).hexdigest()[:12]
        self._known: list[Mark] = []
        self._pattern = re.compile(f"zq{self._key}([0-9]{{3}})qz")

    def token(self, name: str) -> str:
        """Return the mark of a slot such as ``leave_token``."""
        return self._mark(Mark(name))

    def field(self, name: str, default: str = "") -> str:
        """Return the mark of a reader's field."""
        return self._mark(Mark(FIELD + name, default))

    def cut(self, text: str) -> Iterator[str | Mark]:
        """Yield the text between the marks and what belongs at each, in order; no empty strings."""
        pieces = self._pattern.split(text)
        for literal, index in zip(pieces[::2], [*pieces[1::2], None], strict=True):
            if literal:
                yield literal
            if index is not None:
                yield self._known[int(index)]

    def _mark(self, mark: Mark) -> str:
        if mark not in self._known:
            self._known.append(mark)
        return f"zq{self._key}{self._known.index(mark):03d}qz"
