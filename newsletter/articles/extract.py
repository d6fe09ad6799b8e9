"""What a source says about a story into what an editor can use.

Promise: ``clean`` gives a ``Story`` of plain, tidy text with an absolute
canonical address, or None when there is nothing to link to or nothing to say.
Nothing is made up: a missing byline, date, dek or picture stays missing. It is
pure: no network, no database, the present instant is given.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from newsletter.articles import dates, deks, images, kickers
from newsletter.articles.canonical import MAX_URL, canonical, is_web_address, resolved, short, url_key
from newsletter.articles.story import Image, RawImage, RawStory, Story
from newsletter.kit.html import paragraphs, plain_text, tidy

MAX_HEADLINE: Final = 500
MAX_BYLINE: Final = 300
MAX_SECTION: Final = 120
MADE_UP_HEADLINE: Final = 120  # characters, for a story that has none of its own

_PICTURES: Final = frozenset({"figure", "figcaption"})
_BY: Final = re.compile(r"^(?:by|written by|story by|posted by)\b[\s:]*", re.IGNORECASE)
# fmt: off
_NOBODY: Final = frozenset({
    "admin", "administrator", "anonymous", "author", "n/a", "nobody", "none", "null", "undefined", "unknown", "user",
    "webmaster", "wordpress",
})
# fmt: on
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,3}")


def clean(raw: RawStory, *, base: str, now: dt.datetime) -> Story | None:
    """Turn a story as it was read from the document at ``base`` into one that can be stored."""
    base = raw.base or base
    url = _address(raw, base)
    if not url:
        return None
    told = [*paragraphs(raw.summary, without=_PICTURES), *paragraphs(raw.content, without=_PICTURES)]
    headline = plain_text(raw.headline) or deks.first_sentence(deks.choose(told, ""), MADE_UP_HEADLINE)
    if not headline:
        return None
    kicker = kickers.read(
        plain_text(raw.kicker) or next(filter(kickers.is_kicker, told), ""), [plain_text(label) for label in raw.labels]
    )
    return Story(
        guid=short(tidy(raw.guid) or url_key(url)),
        url=url,
        headline=_fitting(headline, MAX_HEADLINE),
        dek=deks.choose(told, headline),
        kicker_kind=kicker.kind,
        kicker_region=kicker.region,
        byline=byline(raw.authors),
        published_at=dates.sane(raw.published_at, now),
        image=_image(raw, base, headline),
        section=_fitting(plain_text(raw.section), MAX_SECTION),
        language=raw.language if _LANGUAGE.fullmatch(raw.language) else "",
    )


def byline(authors: Iterable[str]) -> str:
    """Join the names; addresses, stand-ins for "nobody" and repetitions do not count."""
    names: dict[str, str] = {}
    for author in authors:
        name = _BY.sub("", plain_text(author)).strip(" ,;|")
        if name and name.casefold() not in _NOBODY and "@" not in name and "://" not in name:
            names.setdefault(name.casefold(), name)
    return _fitting(", ".join(names.values()), MAX_BYLINE)


def _address(raw: RawStory, base: str) -> str:
    """Return the story's address; a GUID that is one will do."""
    for candidate in (resolved(base, raw.url) if raw.url.strip() else "", raw.guid):
        url = canonical(candidate)
        if is_web_address(url) and len(url) <= MAX_URL:
            return url
    return ""


def _image(raw: RawStory, base: str, headline: str) -> Image | None:
    found: list[RawImage] = [*raw.images, *images.in_markup(raw.content), *images.in_markup(raw.summary)]
    absolute = [replace(image, url=canonical(resolved(base, image.url))) for image in found]
    return images.choose(absolute, headline=headline)


def _fitting(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
