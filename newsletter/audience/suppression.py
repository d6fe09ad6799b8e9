"""Addresses that must not be mailed, and the subscriptions that stop with them.

Promise: a suppression is kept by keyed hash with its reason, scope and evidence,
and outlives the subscriber; while it is in force no audience contains the
address and no import brings it back. Marking is idempotent, carries the event
that caused it, and can be undone by that event.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, or_, select, true, update
from sqlalchemy.orm import Session

from newsletter.audience import statuses
from newsletter.audience.models import (
    StatusChange,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.kit import addresses, clock

# What a person did to stay away; the same person may take it back by confirming anew.
OWN_WISH: Final = frozenset({SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED})
# The statuses that a bounce ends; who has left or complained has said more than a bounce does.
_WAITING_FOR_MAIL: Final = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One suppression: where (``None``: every publication), why, since when, and until when if it was released."""

    suppression_id: int
    publication_id: int | None
    reason: SuppressionReason
    evidence: str
    created_at: dt.datetime
    released_at: dt.datetime | None


def suppress(
    session: Session,
    secret: bytes,
    *,
    address: str,
    reason: SuppressionReason,
    publication_id: int | None = None,
    evidence: str = "",
) -> Suppressed:
    """Suppress an address, known or not; once for each scope and reason."""
    address_hash = addresses.keyed_hash(secret, addresses.parse(address).normal)
    return add(session, address_hash, reason=reason, publication_id=publication_id, evidence=evidence)


def add(
    session: Session,
    address_hash: str,
    *,
    reason: SuppressionReason,
    publication_id: int | None,
    evidence: str,
    event_id: int | None = None,
) -> Suppressed:
    """Suppress an address by its hash, as the rest of this room does."""
    scope = (
        Suppression.publication_id.is_(None) if publication_id is None else Suppression.publication_id == publication_id
    )
    same = select(Suppression).where(*in_force(address_hash), scope, Suppression.reason == reason)
    row = session.scalars(same).first()
    if row is None:
        row = Suppression(
            address_hash=address_hash,
            publication_id=publication_id,
            reason=reason,
            evidence=evidence,
            event_id=event_id,
            created_at=clock.now(),
        )
        session.add(row)
        session.flush()
    return _suppressed(row)


def suppressions(session: Session, address_hash: str) -> list[Suppressed]:
    """Return all suppressions of an address, released ones too, oldest first."""
    found = select(Suppression).where(Suppression.address_hash == address_hash).order_by(Suppression.id)
    return [_suppressed(row) for row in session.scalars(found)]


def _suppressed(row: Suppression) -> Suppressed:
    return Suppressed(row.id, row.publication_id, row.reason, row.evidence, row.created_at, row.released_at)


def in_force(address_hash: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the suppressions of an address that have not been released."""
    return (Suppression.address_hash == address_hash, Suppression.released_at.is_(None))


def against_wish(session: Session, address_hash: str, publication_id: int) -> bool:
    """Whether the address is suppressed here for a reason that its owner cannot take back."""
    scope = or_(Suppression.publication_id.is_(None), Suppression.publication_id == publication_id)
    found = select(Suppression.id).where(*in_force(address_hash), scope, Suppression.reason.not_in(OWN_WISH))
    return session.scalar(found.limit(1)) is not None


def take_back(session: Session, address_hash: str, publication_id: int) -> None:
    """End the suppressions that the owner of the address wished for, after a fresh confirmation."""
    scope = or_(Suppression.publication_id.is_(None), Suppression.publication_id == publication_id)
    session.execute(
        update(Suppression)
        .where(*in_force(address_hash), scope, Suppression.reason.in_(OWN_WISH))
        .values(released_at=clock.now())
    )


def release(
    session: Session, secret: bytes, *, address: str, publication_id: int | None = None, evidence: str = ""
) -> int:
    """End an address's suppressions (all, or one publication's own) by hand; return how many.

    Subscriptions that had bounced stand as before the bounce, which is the one probe
    that a release means. A reader who complained has to sign up again.
    """
    address_hash = addresses.keyed_hash(secret, addresses.parse(address).normal)
    scope = true() if publication_id is None else Suppression.publication_id == publication_id
    released = session.scalars(
        update(Suppression)
        .where(*in_force(address_hash), scope)
        .values(released_at=clock.now())
        .returning(Suppression.id)
    ).all()
    here = true() if publication_id is None else Subscription.publication_id == publication_id
    owner = select(Subscriber.id).where(Subscriber.address_hash == address_hash).scalar_subquery()
    bounced = Subscription.status == SubscriptionStatus.BOUNCED
    for subscription in statuses.locked(session, Subscription.subscriber_id == owner, bounced, here):
        before = statuses.before(session, subscription)
        statuses.change(session, subscription, before, evidence=evidence or "Released by hand.")
    return len(released)


def mark_bounced(
    session: Session,
    subscriber_id: int,
    publication_id: int | None = None,
    *,
    evidence: str,
    event_id: int | None = None,
) -> int:
    """Stop mailing a reader whose address takes no mail (one publication, or all); return subscriptions stopped."""
    return _mark(session, subscriber_id, publication_id, SubscriptionStatus.BOUNCED, evidence, event_id)


def mark_complained(
    session: Session,
    subscriber_id: int,
    publication_id: int | None = None,
    *,
    evidence: str,
    event_id: int | None = None,
) -> int:
    """Stop mailing a reader who reported the mail as spam; return subscriptions stopped."""
    return _mark(session, subscriber_id, publication_id, SubscriptionStatus.COMPLAINED, evidence, event_id)


def _mark(
    session: Session,
    subscriber_id: int,
    publication_id: int | None,
    status: SubscriptionStatus,
    evidence: str,
    event_id: int | None,
) -> int:
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        return 0  # erased meanwhile
    scope = true() if publication_id is None else Subscription.publication_id == publication_id
    stopped = 0
    for subscription in statuses.locked(session, Subscription.subscriber_id == subscriber_id, scope):
        if status is SubscriptionStatus.BOUNCED and subscription.status not in _WAITING_FOR_MAIL:
            continue
        stopped += statuses.change(session, subscription, status, evidence=evidence, event_id=event_id)
    add(
        session,
        subscriber.address_hash,
        reason=SuppressionReason(status.value),
        publication_id=publication_id,
        evidence=evidence,
        event_id=event_id,
    )
    return stopped


def unmark(session: Session, event_id: int, *, evidence: str) -> int:
    """Undo what one event's bounce or complaint did; return the subscriptions restored.

    A subscription that has changed since then stays as it is.
    """
    session.execute(
        update(Suppression)
        .where(Suppression.event_id == event_id, Suppression.released_at.is_(None))
        .values(released_at=clock.now())
    )
    restored = 0
    for mark in session.scalars(
        select(StatusChange).where(StatusChange.event_id == event_id).order_by(StatusChange.id)
    ):
        for subscription in statuses.locked(
            session, Subscription.id == mark.subscription_id, Subscription.status == mark.after
        ):
            assert mark.before is not None  # a mark never begins a subscription
            restored += statuses.change(session, subscription, mark.before, evidence=evidence)
    return restored
