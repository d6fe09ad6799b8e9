"""What the issues room gives out: an issue as it stands, resolved and immutable.

Promise: a view holds the words that will be printed, the editor's where there
are any and the article's own otherwise, so that nobody else needs to know both.
It is a picture of one moment; asking again may give another.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass

from newsletter.issues.models import IssueState

# What is rendered of an issue and of a placement: a change of any of these changes the content's hash.
RENDERED_OF_ISSUE = ("publication_id", "number", "title", "subject", "preheader", "note")
RENDERED_OF_PLACEMENT = (
    "article_id",
    "lead",
    "headline",
    "dek",
    "kicker_kind",
    "kicker_region",
    "byline",
    "url",
    "image_url",
    "image_alt",
    "image_caption",
    "image_credit",
    "image_width",
    "image_height",
    "show_image",
)


@dataclass(frozen=True, slots=True)
class PlacementView:
    """One story in an issue. ``headline``, ``dek`` and ``image_alt`` are resolved; ``original_*`` are the article's."""

    id: int
    article_id: int
    lead: bool
    headline: str
    dek: str
    kicker_kind: str
    kicker_region: str
    byline: str
    published_at: dt.datetime | None
    url: str
    image_url: str
    image_alt: str
    image_alt_ok: bool
    image_caption: str
    image_credit: str
    image_width: int | None
    image_height: int | None
    show_image: bool
    version: int
    original_headline: str
    original_dek: str


@dataclass(frozen=True, slots=True)
class SectionView:
    """A named block and its stories in order."""

    id: int
    name: str
    placements: tuple[PlacementView, ...]


@dataclass(frozen=True, slots=True)
class IssueView:
    """An issue with everything in it.

    ``version`` goes up with every change of content. ``touched`` says that a person
    has changed it, after which it no longer refills itself. ``lead_reason`` says why
    the draft chose its lead; it is empty once a person has chosen.
    """

    id: int
    publication_id: int
    number: int
    date: dt.date
    title: str
    subject: str
    preheader: str
    note: str
    state: IssueState
    version: int
    cutoff_at: dt.datetime
    approved_by: str
    approved_at: dt.datetime | None
    approved_hash: str
    touched: bool
    lead_reason: str
    sections: tuple[SectionView, ...]

    @property
    def placements(self) -> tuple[PlacementView, ...]:
        """Every story, in the order of the sections."""
        return tuple(placement for section in self.sections for placement in section.placements)

    @property
    def lead(self) -> PlacementView | None:
        """The lead story, if there is one."""
        return next((placement for placement in self.placements if placement.lead), None)

    @property
    def story_count(self) -> int:
        """How many stories the issue has, the lead included."""
        return sum(len(section.placements) for section in self.sections)


@dataclass(frozen=True, slots=True)
class IssueRow:
    """An issue in a list."""

    id: int
    publication_id: int
    number: int
    date: dt.date
    title: str
    subject: str
    state: IssueState
    story_count: int
    updated_at: dt.datetime


def content_hash(view: IssueView) -> str:
    """Return the SHA-256, in 64 hex digits, over everything of the issue that is rendered.

    Equal for equal content whatever the ids of rows, versions and states; an
    approval pins it.
    """
    content = {
        **{name: getattr(view, name) for name in RENDERED_OF_ISSUE},
        "date": view.date.isoformat(),
        "sections": [
            [section.name, [_rendered(placement) for placement in section.placements]] for section in view.sections
        ],
    }
    written = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _rendered(placement: PlacementView) -> dict[str, object]:
    published = placement.published_at
    return {
        **{name: getattr(placement, name) for name in RENDERED_OF_PLACEMENT},
        "published_at": published.isoformat() if published else None,
    }
