"""Which article a story is: the same one again, however its address, GUID or headline moved.

Promise: a story is known by its address, else by the GUID under which this
source told it before, else by its headline if it ran within two weeks; and a
mistake is made towards two articles, never towards losing one. A GUID alone is
no proof (some sites count 1, 2, 3 anew each day): headline or date must agree. A
headline alone is none either (columns keep theirs every day): the dates must be
close. It decides and writes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from newsletter.articles.canonical import headline_key, url_key
from newsletter.articles.models import Article, Sighting
from newsletter.articles.story import Story

HEADLINE_WINDOW: Final = dt.timedelta(days=14)
SAME_RUN: Final = dt.timedelta(hours=20)  # less than a day, for the sake of daily columns
TELLING_WORDS: Final = 3  # "Letters" and "Corrections" are not one story

_TELLING_LENGTH: Final = 12  # characters, for scripts without spaces


class Known:
    """The articles of one publication that the stories of one document may be."""

    def __init__(self, articles: Sequence[Article], sightings: Sequence[Sighting]) -> None:
        self._by_url = {article.url_key: article for article in articles}
        self._by_id = {article.id: article for article in articles}
        self._by_headline: dict[str, list[Article]] = {}
        for article in articles:
            self._by_headline.setdefault(article.headline_key, []).append(article)
        self._by_guid = {sighting.guid: sighting for sighting in sightings}
        self._by_article = {sighting.article_id: sighting for sighting in sightings}
        self._met: set[int] = set()  # articles that a story of this document was found to be

    @classmethod
    def load(
        cls, session: Session, publication_id: int, source_id: int | None, stories: Sequence[Story], now: dt.datetime
    ) -> Known:
        """Read what the database has that could match any of ``stories``."""
        told_here = Sighting.source_id == source_id
        guids = {story.guid for story in stories}
        by_guid = session.scalars(select(Sighting.article_id).where(told_here, Sighting.guid.in_(guids))).all()
        headlines = {key for key in (headline_key(story.headline) for story in stories) if _is_telling(key)}
        recent = Article.first_seen_at >= now - HEADLINE_WINDOW
        articles = session.scalars(
            select(Article).where(
                Article.publication_id == publication_id,
                or_(
                    Article.url_key.in_({url_key(story.url) for story in stories}),
                    Article.id.in_(by_guid),
                    and_(Article.headline_key.in_(headlines), recent),
                ),
            )
        ).all()
        ids = [article.id for article in articles]
        sightings = session.scalars(
            select(Sighting).where(told_here, Sighting.article_id.in_(ids)).order_by(Sighting.last_seen_at, Sighting.id)
        ).all()
        return cls(articles, sightings)

    def find(self, story: Story) -> Article | None:
        """Return the article that ``story`` is, or None if it is a new one."""
        found = self._by_url.get(url_key(story.url)) or self._found_by_guid(story) or self._found_by_headline(story)
        if found is not None:
            self._met.add(found.id)
        return found

    def add(self, article: Article) -> None:
        """Take in an article that was just made."""
        self._by_url[article.url_key] = article
        self._by_headline.setdefault(article.headline_key, []).append(article)
        self._met.add(article.id)

    def sighting(self, story: Story, article: Article) -> Sighting | None:
        """Return where this source told of ``article`` before: under the story's GUID, else under another."""
        sighting = self._by_guid.get(story.guid)
        return sighting if sighting and sighting.article_id == article.id else self._by_article.get(article.id)

    def _found_by_guid(self, story: Story) -> Article | None:
        sighting = self._by_guid.get(story.guid)
        article = self._by_id.get(sighting.article_id) if sighting else None
        if article is None:
            return None
        same_date = story.published_at is not None and story.published_at == article.published_at
        return article if same_date or article.headline_key == headline_key(story.headline) else None

    def _found_by_headline(self, story: Story) -> Article | None:
        key = headline_key(story.headline)
        candidates = self._by_headline.get(key, []) if _is_telling(key) else []
        return next((article for article in candidates if self._ran_together(article, story)), None)

    def _ran_together(self, article: Article, story: Story) -> bool:
        """Without both dates, two entries of one document are two stories: it says so itself."""
        if article.published_at is None or story.published_at is None:
            return article.id not in self._met
        return abs(article.published_at - story.published_at) <= SAME_RUN


def _is_telling(key: str) -> bool:
    return len(key.split()) >= TELLING_WORDS or (not key.isascii() and len(key) >= _TELLING_LENGTH)
