"""What a theme's templates are given: an issue in blocks, each word ready for its medium.

Promise: a template makes no decision about data. A byline, date, image or dek
that is missing is an empty value here, never the word None; a photo without a
usable alternative text is decoration (empty alt, no link); the lead story stands
once, before the sections, and a section without stories is left out.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from newsletter.editions.links import MailLinks, OwnAddresses, is_web_address
from newsletter.editions.medium import Medium
from newsletter.editions.merge import without_tags
from newsletter.editions.render import day, day_near
from newsletter.editions.words import one_line, paragraphs
from newsletter.issues import IssueView, PlacementView
from newsletter.kit import clock
from newsletter.publications.models import Publication

LEAD_WIDTH: Final = 600  # CSS pixels: the sheet's width
CARD_WIDTH: Final = 200


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo at the width it is shown in; ``height`` is None when the source did not tell the size."""

    url: str
    alt: str
    width: int
    height: int | None
    caption: str
    credit: str


@dataclass(frozen=True, slots=True)
class Story:
    """One story. ``title`` is its headline as plain text, for labels; ``headline`` may hold marks."""

    headline: str
    title: str
    dek: str
    kicker: str
    byline: str
    date: str
    href: str
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Group:
    """A section with the stories that follow its heading."""

    name: str
    stories: tuple[Story, ...]


@dataclass(frozen=True, slots=True)
class Footer:
    """What every mail must say about itself; the reader's own links are empty on the web."""

    website: str
    sign_up: str
    web_version: str
    leave: str
    preferences: str
    pixel: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One issue, ready to be set."""

    number: int
    date: str
    iso_date: str
    title: str
    subject: str
    preheader: str
    summary: str
    note: tuple[str, ...]
    lead: Story | None
    groups: tuple[Group, ...]
    footer: Footer


def laid_out(issue: IssueView, publication: Publication, medium: Medium, own: OwnAddresses) -> Sheet:
    """Set an issue for one medium; ``Invalid`` for a merge tag or a link that is wrong."""
    setter = _Setter(issue, publication, medium)
    lead = issue.lead
    return Sheet(
        number=issue.number,
        date=day(issue.date, publication.language, "full"),
        iso_date=issue.date.isoformat(),
        title=_own_title(issue, publication),
        subject=one_line(without_tags(issue.subject, field="subject")),
        preheader=medium.say(issue.preheader, field="preheader"),
        summary=one_line(without_tags(issue.preheader, field="preheader")),
        note=tuple(medium.say_linked(paragraph, field="note") for paragraph in paragraphs(issue.note)),
        lead=setter.story(lead, LEAD_WIDTH) if lead else None,
        groups=tuple(group for group in setter.groups() if group.stories),
        footer=_footer(issue, publication, medium, own),
    )


def _own_title(issue: IssueView, publication: Publication) -> str:
    """Return the issue's title unless it is the one that a draft is given, which the masthead says already."""
    given = f"{publication.name} No. {issue.number}"
    return "" if issue.title == given else one_line(issue.title)


class _Setter:
    """Sets the stories of one issue for one medium."""

    def __init__(self, issue: IssueView, publication: Publication, medium: Medium) -> None:
        self.issue = issue
        self.publication = publication
        self.medium = medium

    def groups(self) -> list[Group]:
        return [
            Group(
                name=one_line(section.name),
                stories=tuple(
                    self.story(placement, CARD_WIDTH) for placement in section.placements if not placement.lead
                ),
            )
            for section in self.issue.sections
        ]

    def story(self, placement: PlacementView, width: int) -> Story:
        title = self._title(placement)
        return Story(
            headline=self._words(placement.headline, placement.original_headline, "headline"),
            title=title,
            dek=self._words(placement.dek, placement.original_dek, "dek"),
            kicker=" | ".join(filter(None, (one_line(placement.kicker_kind), one_line(placement.kicker_region)))),
            byline=one_line(placement.byline),
            date=self._date(placement.published_at),
            href=self.medium.href(placement.url, title, placement.article_id),
            picture=_picture(placement, width),
        )

    def _words(self, text: str, original: str, field: str) -> str:
        """Only an editor's words may hold merge tags; a feed's braces are braces."""
        return self.medium.say(text, field=field) if text != original else self.medium.plain(text)

    @staticmethod
    def _title(placement: PlacementView) -> str:
        if placement.headline == placement.original_headline:
            return one_line(placement.headline)
        return one_line(without_tags(placement.headline, field="headline"))

    def _date(self, published_at: dt.datetime | None) -> str:
        if published_at is None:
            return ""
        local = clock.local(published_at, self.publication.timezone).date()
        return day_near(local, self.issue.date, self.publication.language)


def _picture(placement: PlacementView, width: int) -> Picture | None:
    if not placement.show_image or not is_web_address(placement.image_url):
        return None
    height = None
    if placement.image_width and placement.image_height:
        height = max(1, round(width * placement.image_height / placement.image_width))
    return Picture(
        url=placement.image_url,
        alt=one_line(placement.image_alt) if placement.image_alt_ok else "",
        width=width,
        height=height,
        caption=one_line(placement.image_caption),
        credit=one_line(placement.image_credit),
    )


def _footer(issue: IssueView, publication: Publication, medium: Medium, own: OwnAddresses) -> Footer:
    links: MailLinks | None = medium.links
    website = publication.website
    return Footer(
        website=medium.href(website, publication.name) if website else "",
        sign_up=medium.href(own.sign_up, publication.name),
        web_version=own.web_version(issue.number),
        leave=links.leave if links else "",
        preferences=links.preferences if links else "",
        pixel=links.pixel if links else "",
    )
