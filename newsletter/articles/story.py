"""A story on its way into the pool: as a reader found it, and as it is after cleaning.

Promise: every reader (feeds, JSON Feed, single pages) gives ``RawStory`` and
``extract.clean`` alone turns one into a ``Story``, whose texts are plain, tidy
and short enough for their columns. No behaviour lives here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawImage:
    """A picture as a reader found it; the texts are plain but not yet tidy, the address may be relative."""

    url: str
    alt: str = ""
    caption: str = ""
    credit: str = ""
    width: int | None = None  # pixels
    height: int | None = None


@dataclass(frozen=True, slots=True)
class RawStory:
    """A story as a reader found it. Texts are markup (plain ones escaped), addresses may be relative."""

    url: str
    headline: str
    guid: str = ""
    summary: str = ""
    content: str = ""
    kicker: str = ""  # an element of that name, or a line such as "Analysis | Middle East"
    labels: tuple[str, ...] = ()  # categories, tags, sections, in the reader's order
    authors: tuple[str, ...] = ()
    published_at: dt.datetime | None = None
    images: tuple[RawImage, ...] = ()  # beside those inside the content
    section: str = ""
    language: str = ""
    base: str = ""  # where relative addresses start; empty means at the document's own address


@dataclass(frozen=True, slots=True)
class Image:
    """A picture with its words taken apart; ``alt_ok`` is false when the alt text would not help anybody."""

    url: str
    alt: str
    alt_ok: bool
    caption: str
    credit: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """A story ready to be stored: plain text, an absolute canonical address, a GUID always."""

    guid: str
    url: str
    headline: str
    dek: str
    kicker_kind: str
    kicker_region: str
    byline: str
    published_at: dt.datetime | None
    image: Image | None
    section: str
    language: str


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed's document says now. ``notes`` are sentences for the editor; empty when nothing is odd."""

    title: str
    format: str  # "RSS 2.0", "Atom 1.0", "JSON Feed 1.1"
    stories: tuple[Story, ...]
    notes: tuple[str, ...] = ()
