"""One article's own page into a story: what it tells machines first, what it shows people second.

Promise: ``read_page`` takes each fact from the best place that has it (JSON-LD,
OpenGraph, other metadata, then headings, times and pictures of the page) and
survives pages that have none of them, or broken ones. What other stories on the
page say in their cards is not taken for this one's. It is pure: no network.

Vocabularies: https://schema.org/NewsArticle, https://ogp.me/
"""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from newsletter.articles import captions, images
from newsletter.articles.canonical import is_web_address, resolved
from newsletter.articles.dates import instant
from newsletter.articles.extract import clean
from newsletter.articles.story import RawImage, RawStory, Story
from newsletter.errors import FeedError
from newsletter.kit import clock
from newsletter.kit.html import Token, paragraphs, plain_text, tidy, tokens

_ARTICLE: Final = re.compile(r"(?:Article|BlogPosting|Report|Review)$")
_HEADING: Final = re.compile(r"<h1[\s>]", re.IGNORECASE)
_END: Final = re.compile(r"</(?:article|main)\s*>|<aside[\s>]|<footer[\s>]", re.IGNORECASE)
_DESCRIPTIONS: Final = ("og:description", "description", "twitter:description")
_AUTHORS: Final = ("author", "parsely-author", "dc.creator", "article:author")
_DATES: Final = ("article:published_time", "parsely-pub-date", "dc.date", "dcterms.created", "date", "pubdate")
_LONGEST_HEADING: Final = 1000
_MOST_IMAGES: Final = 10
_LARGEST_NUMBER: Final = 10**9


@dataclass(slots=True)
class _Page:
    """What one pass over a page's tags gathers; texts are plain."""

    metas: dict[str, str] = field(default_factory=dict)  # the first of each name
    scripts: list[str] = field(default_factory=list)  # JSON-LD
    canonical: str = ""
    language: str = ""
    title: str = ""
    heading: str = ""
    time: str = ""


def read_page(page: str, url: str, *, now: dt.datetime | None = None) -> Story:
    """Read the page that ``url`` answered with; raises ``FeedError`` if no story can be made out."""
    seen = _gather(page)
    data = _linked_data(seen.scripts)
    above, body = _parts(page)
    section = seen.metas.get("article:section", "")
    raw = RawStory(
        url=_own_address(seen, url),
        headline=_text(data, "headline") or html.escape(_headline(seen)),
        summary=_text(data, "description") or html.escape(_meta(seen, *_DESCRIPTIONS)),
        content=body,
        labels=(*_texts(data.get("articleSection")), html.escape(section)),
        authors=_names(data.get("author")) or (html.escape(_meta(seen, *_AUTHORS)),),
        published_at=_published_at(seen, data),
        images=_images(seen, data, above, body),
        language=_text(data, "inLanguage") or seen.language,
    )
    story = clean(raw, base=url, now=now or clock.now())
    if story is None:
        raise FeedError("No headline was found on the page; check that the address is an article's.")
    return story


def _gather(page: str) -> _Page:
    seen = _Page()
    inside = ""
    structured = False  # inside a script of JSON-LD
    for token in tokens(page):
        if token.kind == "start":
            _note(seen, token)
            inside = token.name if token.name in ("title", "h1") else inside
            structured = token.attributes.get("type", "").lower() == "application/ld+json"
        elif token.kind == "end":
            inside = "" if token.name == inside else inside
        elif token.kind == "raw" and structured:
            seen.scripts.append(token.text)
        elif inside == "title":
            seen.title += token.text
        elif inside == "h1" and len(seen.heading) < _LONGEST_HEADING:
            seen.heading += token.text
    return seen


def _note(seen: _Page, tag: Token) -> None:
    """Take what one start tag tells."""
    attributes = tag.attributes
    if tag.name == "meta":
        name = attributes.get("property") or attributes.get("name") or attributes.get("itemprop") or ""
        if attributes.get("content", "").strip():
            seen.metas.setdefault(name.lower(), tidy(attributes["content"]))
    elif tag.name == "link" and "canonical" in attributes.get("rel", "").lower().split():
        seen.canonical = seen.canonical or attributes.get("href", "").strip()
    elif tag.name == "html":
        seen.language = attributes.get("lang", "").strip()
    elif tag.name == "time":
        seen.time = seen.time or attributes.get("datetime", "")


def _linked_data(scripts: list[str]) -> dict[str, Any]:
    """Return the first object of JSON-LD that describes an article; empty if there is none."""
    waiting: list[object] = []
    for script in scripts:
        try:
            waiting.append(json.loads(script, strict=False))
        except (ValueError, RecursionError):
            continue
    while waiting:
        thing = waiting.pop(0)
        if isinstance(thing, list):
            waiting += thing
        elif isinstance(thing, dict):
            if any(_ARTICLE.search(kind) for kind in _texts(thing.get("@type"))):
                return thing
            waiting.append(thing.get("@graph"))
    return {}


def _parts(page: str) -> tuple[str, str]:
    """Return what stands above the article's heading, and the article from there to the end of what holds it."""
    start = _HEADING.search(page)
    if start is None:
        return "", page
    end = _END.search(page, start.end())
    return page[: start.start()], page[start.start() : end.start() if end else len(page)]


def _own_address(seen: _Page, url: str) -> str:
    """Return the canonical link, unless a careless template makes it the site's front page."""
    own = resolved(url, seen.canonical) if seen.canonical else url
    if not is_web_address(own) or (urlsplit(own).path in ("", "/") and urlsplit(url).path not in ("", "/")):
        return url
    return own


def _headline(seen: _Page) -> str:
    """Return the page's headline; a title without the name of the site that is glued to it."""
    site = seen.metas.get("og:site_name", "")
    title = _meta(seen, "og:title", "twitter:title") or tidy(seen.heading) or tidy(seen.title)
    shorter = title.removesuffix(site).rstrip(" -–—|·:") if site else title
    return shorter or title


def _published_at(seen: _Page, data: dict[str, Any]) -> dt.datetime | None:
    told = (_text(data, "datePublished"), *(seen.metas.get(name, "") for name in _DATES), seen.time)
    return next((value for value in map(instant, told) if value), None)


def _images(seen: _Page, data: dict[str, Any], above: str, body: str) -> tuple[RawImage, ...]:
    """Return the picture that the page names for itself, that next to its heading, and those of its body.

    A caption that stands by itself goes with the first of them.
    """
    shared = RawImage(
        url=_meta(seen, "og:image", "og:image:url", "twitter:image"),
        alt=_meta(seen, "og:image:alt", "twitter:image:alt"),
        width=images.number(seen.metas.get("og:image:width")),
        height=images.number(seen.metas.get("og:image:height")),
    )
    shown = (*images.in_markup(above)[-1:], *images.in_markup(body))
    found = [image for image in (*_described(data.get("image")), shared, *shown) if image.url]
    caption = next((line for line in paragraphs(body) if captions.is_credited(line)), "")
    return (*found, replace(found[0], caption=caption, credit="", alt="")) if found and caption else tuple(found)


def _described(image: object) -> list[RawImage]:
    """Read the pictures of JSON-LD: an address, an ImageObject, or a list of them."""
    if isinstance(image, list):
        return [found for one in image[:_MOST_IMAGES] if not isinstance(one, list) for found in _described(one)]
    if isinstance(image, str):
        return [RawImage(url=image)]
    if not isinstance(image, dict):
        return []
    return [
        RawImage(
            url=_text(image, "url") or _text(image, "contentUrl"),
            caption=plain_text(_text(image, "caption")),
            credit=plain_text(_text(image, "creditText")),
            width=images.number(_text(image, "width")),
            height=images.number(_text(image, "height")),
        )
    ]


def _names(people: object) -> tuple[str, ...]:
    """Return the names of a person, of an object with a name, or of a list of either."""
    if isinstance(people, list):
        return tuple(name for one in people if not isinstance(one, list) for name in _names(one))
    if isinstance(people, dict):
        return tuple(_texts(people.get("name")))
    return tuple(_texts(people))


def _meta(seen: _Page, *names: str) -> str:
    return next((seen.metas[name] for name in names if name in seen.metas), "")


def _text(data: dict[str, Any], key: str) -> str:
    return next(iter(_texts(data.get(key))), "")


def _texts(value: object) -> list[str]:
    """Return the texts in a value of JSON-LD, where one thing and a list of one are the same."""
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if isinstance(one, str) or (isinstance(one, int) and abs(one) < _LARGEST_NUMBER)]
