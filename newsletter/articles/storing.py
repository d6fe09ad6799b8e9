"""Stories into the articles table: new ones inserted, known ones kept up to date.

Promise: however often and from however many processes at once the same stories
are stored, each is one article. An article changes only when a source changes
what that same source said before, so two sources that word a story differently
never take turns; what an article lacks is filled in from any source. It runs in
the caller's transaction and fetches nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.articles.canonical import headline_key, url_key
from newsletter.articles.identity import Known
from newsletter.articles.models import Article, Sighting, Source
from newsletter.articles.story import Image, Story

_NO_IMAGE: Final = Image(url="", alt="", alt_ok=False, caption="", credit="", width=None, height=None)
_PLACE: Final = ("canonical_url", "url_key")
_IMAGE: Final = tuple(f"image_{field.name}" for field in fields(Image))


@dataclass(frozen=True, slots=True)
class Stored:
    """How many stories were new, changed in headline or dek, or neither; ``ids`` are their articles, in their order."""

    new: int
    changed: int
    unchanged: int
    ids: tuple[int, ...]


def store(
    session: Session, publication_id: int, stories: Sequence[Story], *, now: dt.datetime, source: Source | None = None
) -> Stored:
    """Store the stories of one document of ``source``, or of no source when a person brought them.

    The last comes first, so that a feed's newest story gets the highest id and heads the pool.
    """
    _take_turns(session, publication_id)
    known = Known.load(session, publication_id, source.id if source else None, stories, now)
    told: dict[str, Any] = {}
    ids: list[int] = []
    new = changed = 0
    for story in reversed(stories):
        facts = _facts(story, source.section if source else "")
        article = known.find(story)
        if article is None:
            article, made = _insert(session, publication_id, facts, now)
            known.add(article)
            new += made
        else:
            changed += _update(article, facts, known.sighting(story, article), now)
        ids.append(article.id)
        told[story.guid] = {"article_id": article.id, "guid": story.guid, "told": _hash(facts), "url": story.url}
    if source is not None:
        _sight(session, source.id, told, now)
    return Stored(new=new, changed=changed, unchanged=len(stories) - new - changed, ids=tuple(reversed(ids)))


def _take_turns(session: Session, publication_id: int) -> None:
    """Wait until no other transaction stores stories of this publication (SQLite writes alone in any case)."""
    rows = select(Source.id).where(Source.publication_id == publication_id).order_by(Source.id)
    session.execute(rows.with_for_update(key_share=True))


def _insert(session: Session, publication_id: int, facts: dict[str, Any], now: dt.datetime) -> tuple[Article, bool]:
    """Insert an article and say that it is new; or return the one that a person added at this very moment."""
    statement = (
        _upsert(session, Article)
        .values(publication_id=publication_id, first_seen_at=now, **facts)
        .on_conflict_do_nothing(index_elements=["publication_id", "url_key"])
    )
    made = session.scalar(statement.returning(Article))
    if made is not None:
        return made, True
    same = select(Article).where(Article.publication_id == publication_id, Article.url_key == facts["url_key"])
    return session.scalars(same).one(), False


def _update(article: Article, facts: dict[str, Any], before: Sighting | None, now: dt.datetime) -> bool:
    """Bring an article up to date if its source says other than ``before``; return whether headline or dek changed."""
    if before is None or before.told == _hash(facts):
        _fill(article, facts)
        return False
    said = {name: value for name, value in facts.items() if name not in _IMAGE and value}
    if facts["image_url"]:
        said |= {name: facts[name] for name in _IMAGE}
    if url_key(before.url) != article.url_key:  # this source has its own address for it: a copy, which did not move
        said = {name: value for name, value in said.items() if name not in _PLACE}
    changed = any(getattr(article, name) != said.get(name, getattr(article, name)) for name in ("headline", "dek"))
    for name, value in said.items():
        setattr(article, name, value)
    if changed:
        article.changed_at = now
    return changed


def _fill(article: Article, facts: dict[str, Any]) -> None:
    """Give an article what it lacks; a picture comes with all its words or not at all."""
    lacking = [name for name in facts if name not in _IMAGE and not getattr(article, name)]
    if not article.image_url:
        lacking += _IMAGE
    for name in lacking:
        if getattr(article, name) != facts[name]:
            setattr(article, name, facts[name])


def _sight(session: Session, source_id: int, told: dict[str, dict[str, Any]], now: dt.datetime) -> None:
    """Record under which GUID this source told of which article; a GUID that it gave up is forgotten."""
    if not told:
        return
    rows = [{"source_id": source_id, "first_seen_at": now, "last_seen_at": now, **facts} for facts in told.values()]
    insert = _upsert(session, Sighting).values(rows)
    said = {name: insert.excluded[name] for name in ("article_id", "told", "url", "last_seen_at")}
    session.execute(insert.on_conflict_do_update(index_elements=["source_id", "guid"], set_=said))
    session.execute(
        delete(Sighting).where(
            Sighting.source_id == source_id,
            Sighting.article_id.in_({row["article_id"] for row in rows}),
            Sighting.guid.not_in(list(told)),
        )
    )


def _upsert(session: Session, table: type[Article | Sighting]) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


def _facts(story: Story, section: str) -> dict[str, Any]:
    """Return the columns that a story fills."""
    image = story.image or _NO_IMAGE
    return {
        "canonical_url": story.url,
        "url_key": url_key(story.url),
        "headline": story.headline,
        "headline_key": headline_key(story.headline),
        "dek": story.dek,
        "kicker_kind": story.kicker_kind,
        "kicker_region": story.kicker_region,
        "byline": story.byline,
        "published_at": story.published_at,
        "section": story.section or section,
        "language": story.language,
        **{f"image_{name}": value for name, value in asdict(image).items()},
    }


def _hash(facts: dict[str, Any]) -> str:
    """Return the name of what was said; a date that merely moves says nothing new."""
    said = {name: value for name, value in facts.items() if name != "published_at"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
