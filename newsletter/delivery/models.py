"""Tables of the delivery room: the send, its frozen audience, and the ledger.

The ledger's table is narrow and hot: no index on a column that changes, nor one
whose predicate names such a column, so that PostgreSQL can update rows in place
(HOT); claims walk the primary key. What never changes after the freeze lies in
``recipients``.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import Date, Float, ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, BigId, Id, word


class SendState(enum.StrEnum):
    """Where a send stands; delivery.states holds the table of allowed transitions."""

    SCHEDULED = "scheduled"
    FREEZING = "freezing"
    SENDING = "sending"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    MISSED = "missed"


class DeliveryState(enum.StrEnum):
    """Where one delivery stands; the sum over a send is always its audience."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    SKIPPED = "skipped"


class PaceState(enum.StrEnum):
    """Whether mail flows to a mailbox provider, or through a relay."""

    FLOWING = "flowing"
    SLOWED = "slowed"  # it asked for less at a time
    PAUSED = "paused"  # it refuses us: nothing goes but a probe now and then


class Send(Base):
    """One run of an issue's edition to a frozen audience."""

    __tablename__ = "sends"
    # One issue goes to one audience once; the index makes a second click find the first send.
    __table_args__ = (UniqueConstraint("issue_id", "audience_key"), Index("ix_sends_due", "state", "send_at"))

    id: Mapped[Id]
    issue_id: Mapped[int] = mapped_column(ForeignKey("issues.id"))
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id"))
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("editions.id"))
    audience_key: Mapped[str] = mapped_column(String(64), default="all")
    state: Mapped[SendState] = mapped_column(word(SendState))
    send_at: Mapped[dt.datetime]
    grace_seconds: Mapped[int] = mapped_column(Integer, default=7200)
    retry_window_seconds: Mapped[int] = mapped_column(Integer, default=86_400)
    audience: Mapped[int] = mapped_column(Integer, default=0)
    unsettled: Mapped[int] = mapped_column(Integer, default=0)  # on the wire or undecided when the send ended
    asked_by: Mapped[str] = mapped_column(String(254), default="")
    problem: Mapped[str] = mapped_column(Text, default="")  # what stopped or delays it, for the editor
    created_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]


class Recipient(Base):
    """One person of a frozen audience, as the person was at the freeze. Never changes."""

    __tablename__ = "recipients"
    __table_args__ = (
        UniqueConstraint("send_id", "subscriber_id"),
        UniqueConstraint("send_id", "address"),
        {"sqlite_with_rowid": False},
    )

    send_id: Mapped[int] = mapped_column(ForeignKey("sends.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # 1..audience
    subscriber_id: Mapped[int] = mapped_column(BigId)  # no foreign key: the ledger outlives an erased person
    edition_id: Mapped[int] = mapped_column(BigId)
    address: Mapped[str] = mapped_column(String(254))
    first_name: Mapped[str] = mapped_column(String(120), default="")
    last_name: Mapped[str] = mapped_column(String(120), default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # with the names: what merge tags may name
    tracking: Mapped[bool] = mapped_column(default=True)  # false: this reader's opens and clicks are nobody's


class Delivery(Base):
    """One recipient's row in the ledger of a send."""

    __tablename__ = "deliveries"
    __table_args__ = ({"postgresql_with": {"fillfactor": 60}, "sqlite_with_rowid": False},)

    send_id: Mapped[int] = mapped_column(ForeignKey("sends.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[DeliveryState] = mapped_column(word(DeliveryState), default=DeliveryState.PENDING)
    owner: Mapped[int | None] = mapped_column(BigId)  # senders.id
    epoch: Mapped[int] = mapped_column(Integer, default=0)  # goes up with every claim; fences zombies
    attempt: Mapped[int] = mapped_column(SmallInteger, default=0)
    not_before: Mapped[dt.datetime | None]
    lease_until: Mapped[dt.datetime | None]
    intent_at: Mapped[dt.datetime | None]
    outcome_at: Mapped[dt.datetime | None]
    command: Mapped[str | None] = mapped_column(String(8))  # what the reply was to: MAIL, RCPT, DATA
    code: Mapped[int | None] = mapped_column(SmallInteger)  # the SMTP reply code
    reply: Mapped[str | None] = mapped_column(String(500))  # the reply's text, or why it was skipped
    relay: Mapped[str | None] = mapped_column(String(120))
    lane: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default=text("0")
    )  # providers.Provider; never changes


class Pace(Base):
    """How fast mail may go to one mailbox provider or through one relay; ``limits`` does the arithmetic.

    All workers share it. One that nothing holds has no row, or is not looked at but every few seconds.
    """

    __tablename__ = "paces"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)  # gmail, or relay:host:port
    per_minute: Mapped[int | None] = mapped_column(Integer)  # what a person set
    slowed_to: Mapped[float | None] = mapped_column(Float)  # a minute, at slowed_at; it grows from there
    ceiling: Mapped[float] = mapped_column(Float, default=0.0)  # the pace that was too fast
    slowed_at: Mapped[dt.datetime | None]
    next_free: Mapped[dt.datetime | None]
    state: Mapped[PaceState] = mapped_column(word(PaceState), default=PaceState.FLOWING)
    reason: Mapped[str] = mapped_column(String(500), default="")  # the reply that slowed or paused it
    since: Mapped[dt.datetime | None]
    probe_at: Mapped[dt.datetime | None]
    probe_seconds: Mapped[int] = mapped_column(Integer, default=120)
    warming_since: Mapped[dt.date | None] = mapped_column(Date)
    day: Mapped[dt.date | None] = mapped_column(Date)
    spent: Mapped[int] = mapped_column(Integer, default=0)  # on that day, while warming up


class MailboxDomain(Base):
    """Whose mail exchangers take the mail of a domain, as far as it was looked up."""

    __tablename__ = "mailbox_domains"

    domain: Mapped[str] = mapped_column(String(254), primary_key=True)
    lane: Mapped[int] = mapped_column(SmallInteger)
    look_up_at: Mapped[dt.datetime]  # when it is to be asked for again


class SenderProcess(Base):
    """A process that sends: the owner of claims, so that its end can be noticed at once.

    ``mark`` tells the row from another that got the same id in a database that was
    put back; ``renewals`` grows with every sign of life. What a machine remembers of
    the two shows whether the database went back in time.
    """

    __tablename__ = "senders"

    id: Mapped[Id]
    host: Mapped[str] = mapped_column(String(120))
    pid: Mapped[int] = mapped_column(Integer)
    process: Mapped[str] = mapped_column(String(120), default="", server_default="")  # kit.processes.identity
    mark: Mapped[str] = mapped_column(String(32), default="", server_default="")
    renewals: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    started_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]
    stopped_at: Mapped[dt.datetime | None]


class Restoration(Base):
    """A time when a machine found the database older than it remembered."""

    __tablename__ = "restorations"

    id: Mapped[Id]
    mark: Mapped[str] = mapped_column(String(32), unique=True)
    host: Mapped[str] = mapped_column(String(120))
    noticed_at: Mapped[dt.datetime]
