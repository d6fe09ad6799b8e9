"""What every check is given and what it answers.

Promise: a finding names one thing in one sentence that an editor understands and
says where to mend it. ``block`` means that the issue cannot be sent; ``warn`` that
a person should have looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from newsletter.editions.compose import Composed
from newsletter.issues import IssueView, PlacementView
from newsletter.publications.models import Publication

Level = Literal["block", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. ``name`` is the check's stable name.

    ``where`` is one of subject, preheader, title, note, sections, publication,
    settings, theme, or ``story-<placement id>``.
    """

    level: Level
    name: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that is checked. ``composed`` is None when the issue could not be composed.

    ``used`` has, for each story that stands in another issue too, that issue's
    number by the article's id.
    """

    issue: IssueView
    publication: Publication
    base_url: str
    used: dict[int, int]
    composed: Composed | None


Check = Callable[[Case], Iterator[Finding]]


def block(name: str, reason: str, where: str) -> Finding:
    """Make a finding that stops the sending."""
    return Finding("block", name, reason, where)


def warn(name: str, reason: str, where: str) -> Finding:
    """Make a finding that a person should have seen."""
    return Finding("warn", name, reason, where)


def place_of(placement: PlacementView) -> str:
    """Where to mend something about a story."""
    return f"story-{placement.id}"


def named(placement: PlacementView) -> str:
    """Return a story's headline for a sentence, cut to a readable length."""
    headline = placement.headline
    return f"“{headline if len(headline) <= 60 else headline[:59] + '…'}”"  # noqa: PLR2004 - a line on a screen
