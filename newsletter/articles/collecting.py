"""Reading a source: fetch, understand, store, and keep its health where the editor looks.

Promise: ``collect`` never leaves a source half stored and never raises for what a
source does wrong: the sentence that says it is kept with the source and given
back. A failing source is asked less and less often, up to every six hours; one
good answer sets it right again. ``collect`` takes the ``Database``, not a
session, since it must not hold a transaction while it waits for the network.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.articles import feeds
from newsletter.articles.canonical import MAX_URL, canonical
from newsletter.articles.fetching import Fetched, fetch
from newsletter.articles.models import Source
from newsletter.articles.queries import source_by_id
from newsletter.articles.storing import store
from newsletter.articles.story import Feed, Story
from newsletter.db import Database
from newsletter.errors import FeedError, FetchError
from newsletter.kit import clock

log = logging.getLogger(__name__)

INTERVAL: Final = dt.timedelta(minutes=10)
LONGEST_INTERVAL: Final = dt.timedelta(hours=6)
LEASE: Final = dt.timedelta(minutes=2)  # while one process reads a source it is not due for another


@dataclass(frozen=True, slots=True)
class Collected:
    """What reading one source brought. ``problem`` is why it could not be read, ``note`` what was odd about it."""

    source_id: int
    url: str
    new: int = 0
    changed: int = 0  # articles whose headline or dek the source has changed
    unchanged: int = 0
    not_modified: bool = False
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What an address would yield now; nothing was stored."""

    url: str  # after redirects
    title: str
    format: str
    stories: tuple[Story, ...]
    note: str


def collect(database: Database, source_id: int, *, allow: tuple[str, ...]) -> Collected:
    """Read a source now and store its stories; ``allow`` names private hosts that may be fetched.

    Raises ``NotFound`` if there is no such source, and nothing for a source's own faults.
    """
    source = _lease(database, source_id)
    try:
        fetched = fetch(source.url, allow=allow, etag=source.etag, last_modified=source.last_modified)
        feed = None if fetched.not_modified else _understood(fetched)
    except (FetchError, FeedError) as error:
        return _failed(database, source, error.message)
    with database.transaction() as session:
        return _succeeded(session, source_by_id(session, source_id), fetched, feed)


def check_source(url: str, allow: tuple[str, ...]) -> SourceCheck:
    """Read an address and say what it would yield; raises ``FetchError`` or ``FeedError``."""
    fetched = fetch(url, allow=allow)
    feed = _understood(fetched)
    return SourceCheck(fetched.url, feed.title, feed.format, feed.stories, " ".join(feed.notes))


def _understood(fetched: Fetched) -> Feed:
    return feeds.read(fetched.body, url=fetched.url, now=clock.now(), content_type=fetched.content_type)


def _lease(database: Database, source_id: int) -> Source:
    """Return the source, and put it off for others while this process reads it."""
    with database.transaction() as session:
        source = source_by_id(session, source_id)
        source.next_check_at = clock.now() + LEASE
        return source


def _failed(database: Database, source: Source, problem: str) -> Collected:
    now = clock.now()
    with database.transaction() as session:
        kept = session.get(Source, source.id, with_for_update=True)
        if kept is not None:  # it may have been removed while it was read
            kept.last_checked_at = now
            kept.failures += 1
            kept.problem = problem
            kept.next_check_at = now + min(INTERVAL * 2 ** min(kept.failures, 10), LONGEST_INTERVAL)
    log.warning("source %s: %s", source.id, problem)
    return Collected(source_id=source.id, url=source.url, problem=problem)


def _succeeded(session: Session, source: Source, fetched: Fetched, feed: Feed | None) -> Collected:
    """Store what was read, then set the source's health right; in this order, since storing takes turns."""
    now = clock.now()
    stored = store(session, source.publication_id, feed.stories, now=now, source=source) if feed else None
    source.last_checked_at = source.last_success_at = now
    source.next_check_at = now + INTERVAL
    source.failures, source.problem = 0, ""
    moved = _follow_move(session, source, fetched.permanent_url)
    if feed is None or stored is None:
        return Collected(source_id=source.id, url=source.url, not_modified=True, note=source.note)
    source.etag, source.last_modified = fetched.etag, fetched.last_modified
    source.title = feed.title or source.title
    source.note = " ".join([*feed.notes, *moved])
    if stored.new:
        source.last_new_at = now
    return Collected(
        source_id=source.id,
        url=source.url,
        new=stored.new,
        changed=stored.changed,
        unchanged=stored.unchanged,
        note=source.note,
    )


def _follow_move(session: Session, source: Source, permanent_url: str) -> list[str]:
    """Take a new address that the server gives for good, unless it is another source's."""
    url = canonical(permanent_url)
    if permanent_url == source.url or len(url) > MAX_URL:
        return []
    other = select(Source.id).where(Source.publication_id == source.publication_id, Source.url == url)
    taken = session.scalar(other)
    if taken is not None:
        return [f"It has moved to {url}, which is source {taken} already; remove one of the two."]
    source.url = url
    return []
