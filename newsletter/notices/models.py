"""Table of the notices room: mail to one person about one thing, waiting or gone."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, Id, word


class NoticeState(enum.StrEnum):
    """Where a notice stands."""

    DUE = "due"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Notice(Base):
    """One transactional mail. Written in the transaction that causes it (an outbox), sent by a job."""

    __tablename__ = "notices"
    __table_args__ = (Index("ix_notices_due", "state", "not_before"), UniqueConstraint("kind", "about", "to_address"))

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(40))  # names the folder under templates/email/notices/
    publication_id: Mapped[int | None] = mapped_column(Integer)
    to_address: Mapped[str] = mapped_column(String(254))
    about: Mapped[str | None] = mapped_column(String(120))  # what must be told once only, such as "send:12 missed"
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the template may name; emptied once it is gone
    state: Mapped[NoticeState] = mapped_column(word(NoticeState), default=NoticeState.DUE)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[dt.datetime]
    lease_until: Mapped[dt.datetime | None]
    reply: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
