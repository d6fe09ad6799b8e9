"""Tables of the editions room: an issue frozen, rendered and hashed; and its links."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, Id, Json


class Edition(Base):
    """One issue frozen for one variant: immutable, found again by its hash."""

    __tablename__ = "editions"
    __table_args__ = (UniqueConstraint("issue_id", "variant", "content_hash"),)

    id: Mapped[Id]
    issue_id: Mapped[int] = mapped_column(ForeignKey("issues.id", ondelete="CASCADE"))
    variant: Mapped[str] = mapped_column(String(60), default="all")
    content_hash: Mapped[str] = mapped_column(String(64))  # see compose.Composed.content_hash
    subject: Mapped[str] = mapped_column(String(300))
    html: Mapped[str] = mapped_column(Text)  # inlined; opaque marks where a reader's data goes
    text: Mapped[str] = mapped_column(Text)
    web_html: Mapped[str] = mapped_column(Text)  # web version: no tracking, no token of any reader
    literals: Mapped[bytes] = mapped_column(LargeBinary)  # the literal bytes, one after another
    slots: Mapped[list[Any]] = mapped_column(Json)  # see editions.compiled
    html_bytes: Mapped[int] = mapped_column(Integer)  # encoded size of the HTML part, for preflight
    frozen_at: Mapped[dt.datetime]  # last; freezing the same content again finds this row


class EditionLink(Base):
    """One tracked link: the n-th of its edition. The target may be mended after the send."""

    __tablename__ = "edition_links"

    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True)
    n: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    url: Mapped[str] = mapped_column(String(2000))
    label: Mapped[str] = mapped_column(String(500), default="")
    article_id: Mapped[int | None] = mapped_column(Integer)
