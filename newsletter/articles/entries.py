"""One entry as feedparser gives it into a raw story.

Promise: ``story`` reads every place where feeds put a fact (Dublin Core, iTunes,
FeedBurner, enclosures, elements named "kicker" or "section" of any namespace)
and prefers the most telling one. What Atom declares to be plain text is escaped,
so that all the texts it gives are markup. It does not clean.
"""

from __future__ import annotations

import calendar
import datetime as dt
import html
import re
import time
from typing import Any, Final

from newsletter.articles.images import number
from newsletter.articles.media import PREFIX
from newsletter.articles.story import RawImage, RawStory

# feedparser's dictionaries have no type; the shapes are described in its reference.
Entry = dict[str, Any]

_PLAIN: Final = "text/plain"
_ADDRESS: Final = re.compile(r"[^\s<>()]+@[^\s<>()]+")
_DATES: Final = ("published_parsed", "updated_parsed", "created_parsed")


def story(entry: Entry, images: tuple[RawImage, ...], *, language: str, atom: bool) -> RawStory:
    """Read ``entry``; ``images`` are its pictures from Media RSS, ``language`` is the feed's."""
    contents = entry.get("content") or []
    return RawStory(
        url=_address(entry),
        guid=entry.get("id", ""),
        headline=markup(entry, "title", atom=atom),
        summary=markup(entry, "summary", atom=atom),
        content="".join(_escaped(content, atom=atom) for content in contents),
        kicker=_named(entry, "kicker"),
        labels=tuple(tag.get("label") or tag.get("term") or "" for tag in entry.get("tags", ())),
        authors=_authors(entry),
        published_at=_published_at(entry),
        images=(*images, *_loose_media(entry, images), *_enclosures(entry)),
        section=_named(entry, "section"),
        language=language,
        base=next((content["base"] for content in contents if content.get("base")), ""),
    )


def markup(holder: Entry, key: str, *, atom: bool) -> str:
    """Return a text of a feed or an entry as markup."""
    detail = holder.get(f"{key}_detail")
    return _escaped(detail, atom=atom) if detail else holder.get(key, "")


def _escaped(detail: Entry, *, atom: bool) -> str:
    """Escape a plain text of Atom; RSS says of no text whether it is plain, and they seldom are."""
    value = detail.get("value") or ""
    return html.escape(value) if atom and detail.get("type") == _PLAIN else value


def _address(entry: Entry) -> str:
    """Return the story's own address: the one that FeedBurner replaced, the link, or any alternate link."""
    alternate = (link.get("href", "") for link in entry.get("links", ()) if link.get("rel") == "alternate")
    return entry.get("feedburner_origlink") or entry.get("link") or next(alternate, "")


def _named(entry: Entry, name: str) -> str:
    """Return the text of an element of that name, whatever its namespace."""
    found = (value for key, value in entry.items() if key.rpartition("_")[2] == name and isinstance(value, str))
    return next(found, "")


def _authors(entry: Entry) -> tuple[str, ...]:
    told = entry.get("author", "")
    return tuple(_name(author, told) for author in entry.get("authors", ())) or (told,)


def _name(author: Entry, told: str) -> str:
    """Return an author's name; feedparser's guess at a name beside an address is cut wrongly, so ``told`` is used."""
    address = author.get("email")
    name = told if address and address in told else author.get("name", "")
    return _ADDRESS.sub("", name).strip(" ()<>,")


def _published_at(entry: Entry) -> dt.datetime | None:
    for name in _DATES:
        # dict's own get: feedparser's answers for a missing "updated" with "published", and warns
        parsed: time.struct_time | None = dict.get(entry, name)
        if parsed:
            try:
                return dt.datetime.fromtimestamp(calendar.timegm(parsed), dt.UTC)
            except (ValueError, OverflowError, OSError):
                continue
    return None


def _loose_media(entry: Entry, images: tuple[RawImage, ...]) -> list[RawImage]:
    """Return what is left of Media RSS in a feed that is too broken for ``media.images_by_item``."""
    if images:
        return []
    names = (f"{PREFIX}_content", f"{PREFIX}_thumbnail")
    elements = [entry[name] for name in names if isinstance(entry.get(name), dict)]
    return [
        RawImage(
            url=element.get("url", ""),
            caption=entry.get(f"{PREFIX}_description", ""),
            width=number(element.get("width")),
            height=number(element.get("height")),
        )
        for element in elements
    ]


def _enclosures(entry: Entry) -> list[RawImage]:
    """Return the pictures among the enclosures, and iTunes' picture of an episode."""
    enclosed = [
        link.get("href", "")
        for link in entry.get("links", ())
        if link.get("rel") == "enclosure" and link.get("type", "").startswith("image/")
    ]
    episode = (entry.get("image") or {}).get("href", "")
    return [RawImage(url=url) for url in (*enclosed, episode) if url]
