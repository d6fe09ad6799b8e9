"""Merge tags: a reader's name in an editor's sentence, and nothing more.

The whole grammar is ``{{ name }}`` and ``{{ name | default("words") }}``. Promise:
a text is cut into plain strings and tags or refused with ``Invalid``; nothing is
ever evaluated, and there are no calls, attributes or other filters to abuse
(threat T1). Only what an editor writes is parsed; a feed's text keeps its braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from newsletter.errors import Invalid

NAMES: Final = ("first_name", "last_name")

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE = re.compile(r"""\s*([a-z][a-z0-9_]*)\s*(?:\|\s*default\(\s*(?:"([^"{}]*)"|'([^'{}]*)')\s*\)\s*)?""")


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: the reader's field and what stands there when the field is empty."""

    name: str
    default: str = ""


def parse(text: str, *, field: str) -> tuple[str | Tag, ...]:
    """Cut an editor's text at its tags, or raise ``Invalid`` with ``field`` and the tag that is wrong."""
    return tuple(piece for piece in _pieces(text, field) if piece != "")


def without_tags(text: str, *, field: str) -> str:
    """Return an editor's text with each tag's default in its place; for what is shown to nobody in particular."""
    return "".join(piece.default if isinstance(piece, Tag) else piece for piece in parse(text, field=field))


def _pieces(text: str, field: str) -> Iterator[str | Tag]:
    end = 0
    for match in _TAG.finditer(text):
        yield _plain(text[end : match.start()], field)
        yield _tag(match[0], match[1], field)
        end = match.end()
    yield _plain(text[end:], field)


def _plain(text: str, field: str) -> str:
    if "{{" in text:
        raise Invalid(f"In the {field}, “{_shown(text[text.index('{{') :])}” is not closed with }}}}.", field=field)
    return text


def _tag(whole: str, inside: str, field: str) -> Tag:
    match = _INSIDE.fullmatch(inside)
    if match is None:
        message = (
            f'In the {field}, “{_shown(whole)}” is no tag; write it like {{{{ first_name | default("reader") }}}}.'
        )
        raise Invalid(message, field=field)
    name, double, single = match.groups()
    if name not in NAMES:
        raise Invalid(f"In the {field}, “{_shown(whole)}” names no field; there are {', '.join(NAMES)}.", field=field)
    return Tag(name, double or single or "")


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"  # noqa: PLR2004 - a line on a screen
