"""How a subscription's status may change.

Promise: every change is one of the table's, is made by a conditional UPDATE, and
leaves a row of history with its evidence in the same transaction. Whoever calls
``change`` holds the row that ``locked`` returned, so that two changes of one
subscription wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import StatusChange, Subscription, SubscriptionStatus
from newsletter.errors import Conflict
from newsletter.kit import clock

PENDING, ACTIVE = SubscriptionStatus.PENDING, SubscriptionStatus.ACTIVE
UNSUBSCRIBED = SubscriptionStatus.UNSUBSCRIBED
BOUNCED, COMPLAINED = SubscriptionStatus.BOUNCED, SubscriptionStatus.COMPLAINED

ALLOWED: Final[Mapping[SubscriptionStatus, frozenset[SubscriptionStatus]]] = {
    PENDING: frozenset({ACTIVE, UNSUBSCRIBED, BOUNCED, COMPLAINED}),
    ACTIVE: frozenset({UNSUBSCRIBED, BOUNCED, COMPLAINED}),
    UNSUBSCRIBED: frozenset({PENDING, ACTIVE, COMPLAINED}),  # asked again or undone; a complaint may come late
    BOUNCED: frozenset({PENDING, ACTIVE, UNSUBSCRIBED, COMPLAINED}),  # undone, or asked for again after a release
    COMPLAINED: frozenset({PENDING, ACTIVE, UNSUBSCRIBED, BOUNCED}),  # likewise
}


def locked(session: Session, *conditions: ColumnElement[bool]) -> list[Subscription]:
    """Return the subscriptions that match, in order, held until the transaction ends."""
    statement = select(Subscription).where(*conditions).order_by(Subscription.id).with_for_update()
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def change(
    session: Session,
    subscription: Subscription,
    after: SubscriptionStatus,
    *,
    evidence: str,
    event_id: int | None = None,
    **columns: Any,  # noqa: ANN401 - further columns of the row that change with the status
) -> bool:
    """Move a locked subscription to ``after``; false, and nothing done, where the table does not allow it."""
    present = subscription.status
    if after not in ALLOWED[present]:
        return False
    moved = session.execute(
        update(Subscription)
        .where(Subscription.id == subscription.id, Subscription.status == present)
        .values(status=after, **columns)
    )
    assert isinstance(moved, CursorResult)
    if moved.rowcount != 1:
        raise Conflict("The subscription was changed at the same moment; please try again.")
    note(session, subscription, before=present, after=after, evidence=evidence, event_id=event_id)
    return True


def before(session: Session, subscription: Subscription) -> SubscriptionStatus:
    """Return the status from which a subscription came to its present one; pending if nobody knows."""
    last = (
        select(StatusChange.before)
        .where(StatusChange.subscription_id == subscription.id, StatusChange.after == subscription.status)
        .order_by(StatusChange.id.desc())
        .limit(1)
    )
    return session.scalar(last) or PENDING


def begin(
    session: Session, *, subscriber_id: int, publication_id: int, status: SubscriptionStatus, source: str, evidence: str
) -> Subscription:
    """Add a subscription where there was none."""
    moment = clock.now()
    subscription = Subscription(
        subscriber_id=subscriber_id,
        publication_id=publication_id,
        status=status,
        source=source,
        created_at=moment,
        confirmed_at=moment if status is ACTIVE else None,
    )
    session.add(subscription)
    session.flush()
    note(session, subscription, before=None, after=status, evidence=evidence)
    return subscription


def note(
    session: Session,
    subscription: Subscription,
    *,
    before: SubscriptionStatus | None,
    after: SubscriptionStatus,
    evidence: str,
    event_id: int | None = None,
) -> None:
    """Add a row to a subscription's history."""
    session.add(
        StatusChange(
            subscription_id=subscription.id,
            at=clock.now(),
            before=before,
            after=after,
            evidence=evidence,
            event_id=event_id,
        )
    )
