"""Who is mailed: the one definition of a publication's audience.

Promise: ``eligible`` and ``ineligible`` apply the same conditions (active, not
paused, not suppressed), so a person who is frozen into a send and falls out
afterwards is always found and the reason named. Both only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, exists, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus, Suppression
from newsletter.db import now

ASK_AT_ONCE = 5_000  # ids in one statement; SQLite takes 32,766 parameters, PostgreSQL 65,535


def is_suppressed(address_hash: ColumnElement[str], publication_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that an address is suppressed, for every publication or for this one."""
    return exists().where(
        Suppression.address_hash == address_hash,
        Suppression.released_at.is_(None),
        or_(Suppression.publication_id.is_(None), Suppression.publication_id == publication_id),
    )


def is_paused() -> ColumnElement[bool]:
    """Return the condition that a subscription rests until a later day."""
    return and_(Subscription.paused_until.is_not(None), Subscription.paused_until > now())


def _conditions(publication_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Subscription.publication_id == publication_id,
        Subscription.status == SubscriptionStatus.ACTIVE,
        ~is_paused(),
        ~is_suppressed(Subscriber.address_hash.expression, publication_id),
    )


def eligible(publication_id: int) -> Select[Any]:
    """Return the audience of a send, ordered by subscriber.

    Columns: ``subscriber_id``, ``address`` (as its owner writes it, since only
    the mailbox's own server may fold its case, RFC 5321 2.4; no two rows share
    one), ``first_name``, ``last_name``, ``attributes`` (a JSON object) and
    ``tracking`` (false: the reader wants no opens and clicks recorded).
    """
    return (
        select(
            Subscriber.id.label("subscriber_id"),
            Subscriber.email.label("address"),
            Subscriber.first_name,
            Subscriber.last_name,
            Subscriber.attributes,
            Subscriber.tracking,
        )
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(*_conditions(publication_id))
        .order_by(Subscriber.id)
    )


def ineligible(session: Session, publication_id: int, subscriber_ids: Sequence[int]) -> dict[int, str]:
    """Return those of ``subscriber_ids`` (distinct) who must not be mailed now, each with its reason.

    Reasons: ``erased`` (no such subscription any more), ``pending``, ``unsubscribed``,
    ``bounced``, ``complained``, ``suppressed``, ``paused``. Usually nobody is, which
    costs one count by primary key.
    """
    reasons: dict[int, str] = {}
    for start in range(0, len(subscriber_ids), ASK_AT_ONCE):
        reasons |= _ineligible(session, publication_id, subscriber_ids[start : start + ASK_AT_ONCE])
    return reasons


def _ineligible(session: Session, publication_id: int, subscriber_ids: Sequence[int]) -> dict[int, str]:
    members = (
        select(func.count())
        .select_from(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.subscriber_id.in_(subscriber_ids))
    )
    if session.scalar(members.where(*_conditions(publication_id))) == len(subscriber_ids):
        return {}
    reason = case(
        (Subscription.status != SubscriptionStatus.ACTIVE, type_coerce(Subscription.status, String)),
        (is_suppressed(Subscriber.address_hash.expression, publication_id), "suppressed"),
        (is_paused(), "paused"),
        else_="",
    )
    rows = session.execute(
        select(Subscription.subscriber_id, reason)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.subscriber_id.in_(subscriber_ids), Subscription.publication_id == publication_id)
    )
    found = {subscriber_id: str(why) for subscriber_id, why in rows}
    return {ident: found.get(ident, "erased") for ident in subscriber_ids if found.get(ident) != ""}
