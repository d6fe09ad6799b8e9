"""SELECTs of the articles room: articles as issues see them, the pool, sources and their health.

Promise: reads only, and everything given out is frozen. Lists are cut into keyset
pages, newest first.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from newsletter.articles.canonical import headline_key
from newsletter.articles.models import Article, ArticleState, Sighting, Source
from newsletter.errors import NotFound
from newsletter.kit import clock
from newsletter.kit.paging import PAGE, Page, cut


@dataclass(frozen=True, slots=True)
class ArticleView:
    """One published story as its source last told it; an empty text or None means that it told none."""

    id: int
    publication_id: int
    canonical_url: str
    headline: str
    dek: str
    kicker_kind: str
    kicker_region: str
    byline: str
    published_at: dt.datetime | None
    image_url: str
    image_alt: str
    image_alt_ok: bool  # false: missing, a file name, or the headline again
    image_caption: str
    image_credit: str
    image_width: int | None  # pixels
    image_height: int | None
    section: str
    language: str
    state: ArticleState
    first_seen_at: dt.datetime
    changed_at: dt.datetime | None  # when a source last changed headline or dek


@dataclass(frozen=True, slots=True)
class PoolArticle(ArticleView):
    """An article in the pool, with the names of the sources it was seen in (none: added by hand)."""

    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source and its health. ``failures`` counts in a row; 0 with a ``problem`` never happens."""

    id: int
    publication_id: int
    url: str
    title: str
    section: str
    active: bool
    problem: str  # why it cannot be read, one sentence; empty while it can
    note: str  # what was odd about what was read
    failures: int
    last_checked_at: dt.datetime | None
    last_success_at: dt.datetime | None
    last_new_at: dt.datetime | None
    next_check_at: dt.datetime
    stories: int  # articles seen in it so far


_COLUMNS: Final = [getattr(Article, field.name) for field in fields(ArticleView)]
_SOURCE_COLUMNS: Final = [getattr(Source, field.name) for field in fields(SourceRow) if field.name != "stories"]


def view(session: Session, ids: Iterable[int]) -> dict[int, ArticleView]:
    """Return the articles with these ids by id; unknown ids are left out."""
    rows = session.execute(select(*_COLUMNS).where(Article.id.in_(set(ids))))
    return {row.id: ArticleView(**row._asdict()) for row in rows}


def pool(
    session: Session,
    publication_id: int,
    *,
    state: ArticleState = ArticleState.POOL,
    text: str = "",
    until: dt.datetime | None = None,
    exclude_ids: Collection[int] = (),
    after: int | None = None,
    limit: int = PAGE,
) -> Page[PoolArticle]:
    """Return a page of a publication's articles, the newest first seen first.

    ``state`` is the pool unless those held or ruled out are asked for; ``text``
    keeps headlines that contain each of its words; ``until`` leaves out what was
    seen later; ``after`` is the last id of the page before.
    """
    statement = select(*_COLUMNS).where(Article.publication_id == publication_id, Article.state == state)
    for word in headline_key(text).split():
        statement = statement.where(Article.headline_key.contains(word, autoescape=True))
    if until is not None:
        statement = statement.where(Article.first_seen_at <= until)
    if exclude_ids:
        statement = statement.where(Article.id.not_in(exclude_ids))
    if after is not None:
        statement = statement.where(_older_than(after))
    newest_first = statement.order_by(Article.first_seen_at.desc(), Article.id.desc()).limit(limit + 1)
    rows = session.execute(newest_first).all()
    names = _source_names(session, [row.id for row in rows])
    return cut(
        [PoolArticle(**row._asdict(), sources=tuple(names[row.id])) for row in rows], limit, lambda article: article.id
    )


def sources(session: Session, publication_id: int | None = None) -> list[SourceRow]:
    """Return the sources of one publication, or of all, in the order in which they were added."""
    counted = (
        select(func.count(Sighting.article_id.distinct())).where(Sighting.source_id == Source.id).scalar_subquery()
    )
    statement = select(*_SOURCE_COLUMNS, counted.label("stories")).order_by(Source.id)
    if publication_id is not None:
        statement = statement.where(Source.publication_id == publication_id)
    return [SourceRow(**row._asdict()) for row in session.execute(statement)]


def due_sources(session: Session, publication_id: int | None = None, *, force: bool = False) -> list[int]:
    """Return the ids of the active sources that are due, the longest waiting first; ``force`` means all of them."""
    statement = select(Source.id).where(Source.active).order_by(Source.next_check_at, Source.id)
    if publication_id is not None:
        statement = statement.where(Source.publication_id == publication_id)
    if not force:
        statement = statement.where(Source.next_check_at <= clock.now())
    return list(session.scalars(statement))


def source_by_id(session: Session, source_id: int) -> Source:
    """Return a source or raise ``NotFound``."""
    found = session.get(Source, source_id)
    if found is None:
        raise NotFound(f"There is no source {source_id}; it may have been removed.")
    return found


def _older_than(article_id: int) -> ColumnElement[bool]:
    """Whether an article comes after the one with this id in a list of newest first."""
    seen = select(Article.first_seen_at).where(Article.id == article_id).scalar_subquery()
    return or_(Article.first_seen_at < seen, (Article.first_seen_at == seen) & (Article.id < article_id))


def _source_names(session: Session, ids: Collection[int]) -> defaultdict[int, list[str]]:
    names: defaultdict[int, list[str]] = defaultdict(list)
    found = (
        select(Sighting.article_id, Source.title, Source.url)
        .join(Source, Source.id == Sighting.source_id)
        .where(Sighting.article_id.in_(ids))
        .order_by(Source.id)
    )
    for article_id, title, url in session.execute(found):
        name = title or url
        if name not in names[article_id]:
            names[article_id].append(name)
    return names
