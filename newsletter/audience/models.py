"""Tables of the audience room: people, memberships, proofs of consent, addresses not to be mailed."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Base, BigId, Id, word


class SubscriptionStatus(enum.StrEnum):
    """Where a membership stands; only ``active`` is mailed."""

    PENDING = "pending"  # asked for, not confirmed
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"  # left
    BOUNCED = "bounced"  # the address no longer takes mail
    COMPLAINED = "complained"  # reported as spam


class SuppressionReason(enum.StrEnum):
    """Why an address must not be mailed."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    ERASED = "erased"
    MANUAL = "manual"


class ConsentKind(enum.StrEnum):
    """What a person did, or what was brought along as proof."""

    ASKED = "asked"  # filled in a form; anybody may fill in anybody's address
    CONFIRMED = "confirmed"  # by a link that only the mailbox's owner has
    IMPORTED = "imported"  # consent was given elsewhere; the source says where
    LEFT = "left"
    RESUMED = "resumed"  # undid leaving


def _caused(table: str) -> Index:
    """Index the few rows that an event caused, so that undoing one finds them."""
    few = text("event_id IS NOT NULL")
    return Index(f"ix_{table}_event", "event_id", sqlite_where=few, postgresql_where=few)


class Subscriber(Base):
    """A person's address and what is known of the person."""

    __tablename__ = "subscribers"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254))  # as its owner writes it
    address: Mapped[str] = mapped_column(String(254), unique=True)  # normal form, see kit.addresses
    address_hash: Mapped[str] = mapped_column(String(32), index=True)  # keyed, joins suppressions
    first_name: Mapped[str] = mapped_column(String(120), default="")
    last_name: Mapped[str] = mapped_column(String(120), default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    language: Mapped[str] = mapped_column(String(35), default="")
    tracking: Mapped[bool] = mapped_column(default=True)  # the reader's own switch
    created_at: Mapped[dt.datetime]


class Subscription(Base):
    """A subscriber's membership of a publication."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "publication_id"),
        Index("ix_subscriptions_publication_status", "publication_id", "status", "subscriber_id"),
    )

    id: Mapped[Id]
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    status: Mapped[SubscriptionStatus] = mapped_column(word(SubscriptionStatus))
    source: Mapped[str] = mapped_column(String(120), default="")  # form, import, command line
    paused_until: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime | None]
    left_at: Mapped[dt.datetime | None]
    left_reason: Mapped[str] = mapped_column(String(300), default="")


class StatusChange(Base):
    """One change of a subscription's status with its evidence. Append-only."""

    __tablename__ = "status_changes"
    __table_args__ = (_caused("status_changes"),)

    id: Mapped[Id]
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscriptions.id", ondelete="CASCADE"), index=True)
    at: Mapped[dt.datetime]
    before: Mapped[SubscriptionStatus | None] = mapped_column(word(SubscriptionStatus))
    after: Mapped[SubscriptionStatus] = mapped_column(word(SubscriptionStatus))
    evidence: Mapped[str] = mapped_column(Text, default="")  # one sentence for a person
    event_id: Mapped[int | None] = mapped_column(BigId)  # the event that caused it; a room above: no foreign key


class Consent(Base):
    """The dated proof that a person asked for (or gave up) a publication. Append-only."""

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_subscriber", "subscriber_id", "id"),)

    id: Mapped[Id]
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    publication_id: Mapped[int] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))
    at: Mapped[dt.datetime]
    kind: Mapped[ConsentKind] = mapped_column(word(ConsentKind))
    source: Mapped[str] = mapped_column(String(300), default="")
    wording: Mapped[str] = mapped_column(String(64), default="")  # version of the text that was shown
    network_hash: Mapped[str] = mapped_column(String(32), default="")  # keyed hash of the network address


class ConfirmationRequest(Base):
    """A confirmation mail that was asked for: the limit of one in 24 h and three ever counts these (T11)."""

    __tablename__ = "confirmation_requests"
    __table_args__ = (Index("ix_confirmation_requests_address_at", "address_hash", "at"),)

    id: Mapped[Id]
    address_hash: Mapped[str] = mapped_column(String(32))
    network_hash: Mapped[str] = mapped_column(String(32), default="", index=True)
    at: Mapped[dt.datetime]


class Suppression(Base):
    """An address, by keyed hash, that must not be mailed. Outlives the subscriber."""

    __tablename__ = "suppressions"
    __table_args__ = (
        Index("ix_suppressions_address", "address_hash", "publication_id"),
        _caused("suppressions"),
    )

    id: Mapped[Id]
    address_hash: Mapped[str] = mapped_column(String(32))
    publication_id: Mapped[int | None] = mapped_column(ForeignKey("publications.id", ondelete="CASCADE"))  # null: all
    reason: Mapped[SuppressionReason] = mapped_column(word(SuppressionReason))
    evidence: Mapped[str] = mapped_column(Text, default="")
    event_id: Mapped[int | None] = mapped_column(BigId)  # the event that caused it, as in StatusChange
    created_at: Mapped[dt.datetime]
    released_at: Mapped[dt.datetime | None]
