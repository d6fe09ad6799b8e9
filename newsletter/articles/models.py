"""Tables of the articles room: sources, articles, and where each article was sighted."""

from __future__ import annotations

import datetime as dt
import enum

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.articles.canonical import MAX_KEY, MAX_URL, url_key
from newsletter.db import Base, Id, word


class ArticleState(enum.StrEnum):
    """A person's ruling on an article; whether it was used is told by the issues room."""

    POOL = "pool"
    HELD = "held"
    RULED_OUT = "ruled_out"


class Source(Base):
    """Where stories come from: one feed's address, its defaults and its health."""

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("publication_id", "url"),)

    id: Mapped[Id]
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(MAX_URL))
    title: Mapped[str] = mapped_column(String(300), default="")
    section: Mapped[str] = mapped_column(String(120), default="")  # default for its articles
    etag: Mapped[str] = mapped_column(String(500), default="")
    last_modified: Mapped[str] = mapped_column(String(100), default="")
    last_checked_at: Mapped[dt.datetime | None]
    last_success_at: Mapped[dt.datetime | None]
    last_new_at: Mapped[dt.datetime | None]
    problem: Mapped[str] = mapped_column(Text, default="")  # why it cannot be read; empty while it can
    note: Mapped[str] = mapped_column(Text, default="")  # what was odd about what was read
    failures: Mapped[int] = mapped_column(Integer, default=0)  # in a row
    next_check_at: Mapped[dt.datetime] = mapped_column(index=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]


def _key_of_url(context: DefaultExecutionContext) -> str:
    parameters = context.get_current_parameters()  # type: ignore[no-untyped-call] # SQLAlchemy left it untyped
    return url_key(parameters["canonical_url"])


class Article(Base):
    """One published story as its source last told it. Editors' words live in placements, never here."""

    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("publication_id", "url_key"),
        Index("ix_articles_pool", "publication_id", "state", "first_seen_at"),
        Index("ix_articles_headline", "publication_id", "headline_key"),
    )

    id: Mapped[Id]
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    canonical_url: Mapped[str] = mapped_column(String(MAX_URL))  # what a reader opens
    url_key: Mapped[str] = mapped_column(String(MAX_KEY), default=_key_of_url)  # what tells two addresses apart
    headline: Mapped[str] = mapped_column(String(500))
    headline_key: Mapped[str] = mapped_column(String(500))  # normalised, for finding the same story elsewhere
    dek: Mapped[str] = mapped_column(Text, default="")
    kicker_kind: Mapped[str] = mapped_column(String(120), default="")
    kicker_region: Mapped[str] = mapped_column(String(120), default="")
    byline: Mapped[str] = mapped_column(String(300), default="")
    published_at: Mapped[dt.datetime | None]
    image_url: Mapped[str] = mapped_column(String(MAX_URL), default="")
    image_alt: Mapped[str] = mapped_column(Text, default="")
    image_alt_ok: Mapped[bool] = mapped_column(default=False)  # false: missing, or reads like a file name
    image_caption: Mapped[str] = mapped_column(Text, default="")
    image_credit: Mapped[str] = mapped_column(String(500), default="")
    image_width: Mapped[int | None]
    image_height: Mapped[int | None]
    section: Mapped[str] = mapped_column(String(120), default="")
    language: Mapped[str] = mapped_column(String(35), default="")
    state: Mapped[ArticleState] = mapped_column(word(ArticleState), default=ArticleState.POOL)
    first_seen_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime | None]  # when its source last changed headline or dek


class Sighting(Base):
    """One article seen in one source under one GUID; how a story keeps its identity when its URL changes."""

    __tablename__ = "sightings"
    __table_args__ = (UniqueConstraint("source_id", "guid"),)

    id: Mapped[Id]
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), index=True)
    guid: Mapped[str] = mapped_column(String(MAX_KEY))
    told: Mapped[str] = mapped_column(String(64), default="")  # hash of what this source last said about it
    url: Mapped[str] = mapped_column(String(MAX_URL))
    first_seen_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime]
