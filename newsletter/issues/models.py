"""Tables of the issues room: the dated round-up, its sections, and the articles placed in them."""

from __future__ import annotations

import datetime as dt
import enum

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, Id, word


class IssueState(enum.StrEnum):
    """Where an issue stands; issues.states holds the table of allowed transitions."""

    DRAFT = "draft"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    MISSED = "missed"
    CANCELLED = "cancelled"


class Issue(Base):
    """One dated, composed round-up of a publication."""

    __tablename__ = "issues"
    __table_args__ = (UniqueConstraint("publication_id", "number"),)

    id: Mapped[Id]
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    date: Mapped[str] = mapped_column(String(10))  # ISO date in the publication's zone
    title: Mapped[str] = mapped_column(String(200), default="")
    subject: Mapped[str] = mapped_column(String(300), default="")
    preheader: Mapped[str] = mapped_column(String(300), default="")
    note: Mapped[str] = mapped_column(Text, default="")  # the editor's note, plain paragraphs
    state: Mapped[IssueState] = mapped_column(word(IssueState), default=IssueState.DRAFT)
    version: Mapped[int] = mapped_column(Integer, default=1)  # goes up with every change of content
    texts_version: Mapped[int] = mapped_column(Integer, default=1)  # the version that last changed title to note
    touched_at: Mapped[dt.datetime | None]  # when a person first changed it; until then it refills itself
    lead_reason: Mapped[str] = mapped_column(String(300), default="")  # why this lead; empty once a person chose
    cutoff_at: Mapped[dt.datetime]  # stories first seen later belong to the next issue
    approved_by: Mapped[str] = mapped_column(String(254), default="")
    approved_at: Mapped[dt.datetime | None]
    approved_hash: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Section(Base):
    """A named block of one issue, in order."""

    __tablename__ = "sections"

    id: Mapped[Id]
    issue_id: Mapped[int] = mapped_column(ForeignKey("issues.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(120))


class Placement(Base):
    """One article in one issue with the editor's words; an empty text means the article's own."""

    __tablename__ = "placements"
    __table_args__ = (UniqueConstraint("issue_id", "article_id"),)

    id: Mapped[Id]
    issue_id: Mapped[int] = mapped_column(ForeignKey("issues.id", ondelete="CASCADE"))
    section_id: Mapped[int] = mapped_column(ForeignKey("sections.id", ondelete="CASCADE"), index=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    lead: Mapped[bool] = mapped_column(default=False)
    headline: Mapped[str] = mapped_column(String(500), default="")
    dek: Mapped[str] = mapped_column(Text, default="")
    image_alt: Mapped[str] = mapped_column(Text, default="")
    show_image: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(Integer, default=1)


class PassedOver(Base):
    """An article that an issue considered and left out, and why; it is not offered to later drafts again."""

    __tablename__ = "passed_over"

    issue_id: Mapped[int] = mapped_column(ForeignKey("issues.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"), primary_key=True, index=True)
    reason: Mapped[str] = mapped_column(String(300))
