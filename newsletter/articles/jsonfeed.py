"""JSON Feed 1.0 and 1.1.

Promise: ``read`` gives the items of a feed in its order; an item that is not an
object, or a field of the wrong type, is passed over and never stops the rest.
Plain texts are escaped, so that all the texts it gives are markup.

Format: https://www.jsonfeed.org/version/1.1/
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any, Final

from newsletter.articles.dates import instant
from newsletter.articles.story import RawImage, RawStory
from newsletter.errors import FeedError

_VERSION: Final = "jsonfeed.org/version/"


@dataclass(frozen=True, slots=True)
class JsonFeed:
    """The document: title (markup), format with version, language, and its items in order."""

    title: str
    format: str
    language: str
    items: tuple[dict[str, Any], ...]


def read(document: str) -> JsonFeed:
    """Read a document; raises ``FeedError`` if it is not a JSON Feed."""
    try:
        feed = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise FeedError("The address answers with JSON that is broken; tell the site.") from error
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list):
        raise FeedError("The address answers with JSON that is no JSON Feed: it has no list of items.")
    return JsonFeed(
        title=html.escape(_text(feed, "title")),
        format=f"JSON Feed {_text(feed, 'version').partition(_VERSION)[2]}".strip(),
        language=_text(feed, "language"),
        items=tuple(item for item in items if isinstance(item, dict)),
    )


def story(item: dict[str, Any], feed: JsonFeed) -> RawStory:
    """Read one item of ``feed``."""
    image = _text(item, "image") or _text(item, "banner_image")
    plain = html.escape(_text(item, "content_text")).replace("\n", "<br>")
    return RawStory(
        url=_text(item, "url") or _text(item, "external_url"),
        guid=_text(item, "id"),
        headline=html.escape(_text(item, "title")),
        summary=html.escape(_text(item, "summary")),
        content=_text(item, "content_html") or plain,
        labels=tuple(html.escape(tag) for tag in _list(item, "tags") if isinstance(tag, str)),
        authors=_authors(item),
        published_at=instant(_text(item, "date_published")) or instant(_text(item, "date_modified")),
        images=(RawImage(url=image),) if image else (),
        language=_text(item, "language") or feed.language,
    )


def _authors(item: dict[str, Any]) -> tuple[str, ...]:
    """Names of the authors: a list in version 1.1, one object in 1.0."""
    authors = [*_list(item, "authors"), item.get("author")]
    return tuple(html.escape(_text(author, "name")) for author in authors if isinstance(author, dict))


def _text(holder: dict[str, Any], key: str) -> str:
    """Return a text; numbers are taken as texts, since some feeds number their items."""
    value = holder.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else ""
    return value if isinstance(value, str) else ""


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    return value if isinstance(value, list) else []
