"""RSS, Atom, RDF and JSON Feed documents into stories; the only home of feedparser.

Promise: ``read`` returns what a document tells, item by item in its order, or
raises ``FeedError`` with one sentence that says what came instead of a feed.
Broken XML that still has items is read, and noted; an item that cannot be read
is left out, and noted. A document that declares entities is refused before any
parser expands one (threat T20), and nothing that it names is fetched.
"""

from __future__ import annotations

import datetime as dt
import io
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

import feedparser

from newsletter.articles import entries, jsonfeed, media
from newsletter.articles.canonical import headline_key, resolved, url_key
from newsletter.articles.decoding import decode
from newsletter.articles.extract import clean
from newsletter.articles.story import Feed, RawImage, RawStory, Story
from newsletter.errors import FeedError
from newsletter.kit.html import plain_text, tidy, tokens

log = logging.getLogger(__name__)

MAX_STORIES: Final = 500  # of one document; feeds begin with the newest
MAX_TITLE: Final = 300

_FORMATS: Final = {"rss20": "RSS 2.0", "rss10": "RSS 1.0", "atom10": "Atom 1.0", "rss": "RSS"}
_FEED_TYPES: Final = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+json"}
)
_ROOT: Final = re.compile(r"<([A-Za-z][\w.:-]*)")
_WEB_PAGE: Final = frozenset(
    {"a", "body", "div", "head", "html", "link", "meta", "p", "script", "span", "style", "title"}
)
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 forbids
_MOST_DIGITS: Final = 7  # of a character's number
_REFERENCE: Final = re.compile(r"&#(?:x([0-9A-Fa-f]+)|([0-9]+));?", re.IGNORECASE)


def read(body: bytes, *, url: str, now: dt.datetime, content_type: str = "") -> Feed:
    """Read the document that ``url`` answered with; relative addresses in it are resolved against ``url``."""
    document = _NO_XML.sub("", decode(body, content_type)).strip()
    if not document:
        raise FeedError("The address answers with an empty page; look at it in a browser.")
    if document[0] in "{[":
        feed = jsonfeed.read(document)
        return _feed(
            feed.title, feed.format, [partial(jsonfeed.story, item, feed) for item in feed.items], url, now, []
        )
    root = _ROOT.search(document)
    if root is None:
        raise FeedError(f"The address answers with something that is no feed; it begins “{tidy(document[:40])}”.")
    if root[1].lower() in _WEB_PAGE:
        raise FeedError(_page_instead(document, url))
    return _xml(document, root[1], url, now)


def linked_feeds(page: str, url: str) -> list[str]:
    """Return the addresses of the feeds that a web page names (``<link rel=alternate>``), in its order."""
    links = [token.attributes for token in tokens(page) if token.kind == "start" and token.name == "link"]
    found = [
        resolved(url, link["href"])
        for link in links
        if "alternate" in link.get("rel", "").lower().split()
        and link.get("type", "").lower().strip() in _FEED_TYPES
        and link.get("href")
    ]
    return list(dict.fromkeys(found))


def _page_instead(page: str, url: str) -> str:
    found = linked_feeds(page, url)
    if found:
        return f"The address is a web page, not a feed; the page names this feed: {' or '.join(found[:3])}"
    return "The address is a web page, not a feed, and names none; look for its RSS link, often at /feed or /rss."


def _xml(document: str, root: str, url: str, now: dt.datetime) -> Feed:
    _refuse_entities(document)
    document = media.hidden(_REFERENCE.sub(_legal_reference, document))
    parsed = _parsed(document, url)
    notes: list[str] = []
    pictures: Sequence[tuple[RawImage, ...]] = ()
    try:
        pictures = media.images_by_item(document)
    except ET.ParseError as error:
        notes.append(f"The feed is not well-formed XML (line {error.position[0]}); what could be read was taken.")
    if not parsed.entries and (notes or not parsed.version):
        what = "damaged XML" if notes else f"a <{root}> document"
        raise FeedError(f"The address answers with {what}, in which there is no story to read.")
    if len(pictures) != len(parsed.entries):
        pictures = [()] * len(parsed.entries)
    language, atom = parsed.feed.get("language") or "", parsed.version.startswith("atom")
    pairs = zip(parsed.entries, pictures, strict=True)
    raws = [partial(entries.story, entry, images, language=language, atom=atom) for entry, images in pairs]
    name = _FORMATS.get(parsed.version, parsed.version.upper() or "RSS")
    return _feed(entries.markup(parsed.feed, "title", atom=atom), name, raws, url, now, notes)


def _parsed(document: str, url: str) -> feedparser.FeedParserDict:
    try:
        return feedparser.parse(
            io.BytesIO(document.encode()),
            response_headers={"content-type": "application/xml; charset=utf-8", "content-location": url},
            resolve_relative_uris=False,
            sanitize_html=False,  # only words are kept, never markup
        )
    except Exception as error:  # feedparser lets through whatever its many parsers of details raise
        log.exception("feedparser gave up on %s", url)
        raise FeedError("The address answers with damaged XML that cannot be read; tell the site.") from error


def _legal_reference(reference: re.Match[str]) -> str:
    """Drop a reference to a character that XML forbids: one of them would spoil the whole document."""
    hexadecimal, decimal = reference.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (decimal, 10)
    code = int(digits[-_MOST_DIGITS:], base) if len(digits.lstrip("0")) <= _MOST_DIGITS else -1
    return reference[0] if 0 <= code <= sys.maxunicode and not _NO_XML.match(chr(code)) else ""


class _RootReached(Exception):
    """A signal that the document's declarations are over."""


def _refuse_entities(document: str) -> None:
    """Raise ``FeedError`` if the document declares an entity; parse no further than its root element."""

    def refuse(*_declaration: object) -> None:
        raise FeedError("The feed declares XML entities, which can hide attacks, and is not read; tell the site.")

    def stop(*_element: object) -> None:
        raise _RootReached

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        parser.Parse(document, True)
    except (_RootReached, expat.ExpatError):
        return  # feedparser reads broken XML without expanding entities


def _feed(
    title: str,
    name: str,
    raws: Sequence[Callable[[], RawStory]],
    url: str,
    now: dt.datetime,
    notes: list[str],
) -> Feed:
    """Clean the stories and note what is odd about the feed as a whole."""
    stories = [story for raw in raws[:MAX_STORIES] if (story := _cleaned(raw, url, now))]
    if raws and not stories:
        what = "damaged XML" if notes else "a feed"
        raise FeedError(f"The address answers with {what} in which no item has both address and words; tell the site.")
    left_out = min(len(raws), MAX_STORIES) - len(stories)
    if left_out:
        notes.append(f"{left_out} of {len(raws)} items have no address or no words and were left out.")
    if len(raws) > MAX_STORIES:
        notes.append(f"The feed has {len(raws)} items; the first {MAX_STORIES} were read.")
    if not raws:
        notes.append("The feed holds no stories at the moment.")
    distinct, shared = _distinct(stories)
    return Feed(plain_text(title)[:MAX_TITLE], name, tuple(distinct), tuple(notes + shared))


def _cleaned(raw: Callable[[], RawStory], url: str, now: dt.datetime) -> Story | None:
    """Read and clean one item: whatever is wrong with it must not stop the others."""
    try:
        return clean(raw(), base=url, now=now)
    except Exception:  # its kind cannot be known; the log has it
        log.exception("an item of %s could not be read", url)
        return None


def _distinct(stories: Sequence[Story]) -> tuple[list[Story], list[str]]:
    """Merge stories of one address (the first stays) and drop GUIDs that several addresses share.

    Two headlines under one address are two stories, of which only one can be kept: that is noted.
    """
    by_url: dict[str, Story] = {}
    notes: list[str] = []
    for story in stories:
        kept = by_url.setdefault(url_key(story.url), story)
        named_twice = kept.guid == story.guid != url_key(story.url)  # two versions of one story
        if headline_key(kept.headline) != headline_key(story.headline) and not named_twice:
            notes.append(f"“{kept.headline}” and “{story.headline}” share an address; only the first was taken.")
    uses = Counter(story.guid for story in by_url.values())
    told_apart = [
        replace(story, guid=url_key(story.url)) if uses[story.guid] > 1 else story for story in by_url.values()
    ]
    return told_apart, notes
