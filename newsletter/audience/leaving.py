"""Leaving a publication, resting from it, and coming back from either.

Promise: every function acts on the one membership that its ``Reader`` names and
on no other. ``leave`` is idempotent and never fails for a link that once was
ours: a reader who left, or was erased, has left. What was done can be undone for
24 hours; after that a fresh sign-up is the proof that is needed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from newsletter.audience import consents, fields, statuses
from newsletter.audience.links import Reader
from newsletter.audience.models import ConsentKind, Subscription, SubscriptionStatus
from newsletter.errors import Invalid, NotFound, Refused
from newsletter.kit import clock

UNDO: Final = dt.timedelta(hours=24)
PAUSES: Final = (2, 4, 8)  # weeks


@dataclass(frozen=True, slots=True)
class Left:
    """Who has left what; ``changed`` is false for whoever had left before, or was never there."""

    reader: Reader
    changed: bool


def leave(session: Session, reader: Reader, *, via: str, reason: str = "") -> Left:
    """Unsubscribe a reader from one publication. Call it for a POST or a mailed request, never for a GET.

    ``via`` says how: ``page``, ``one-click`` (RFC 8058), ``mailto``, ``preferences``.
    A ``reason`` may be given later by a second call.
    """
    why = fields.line(reason, "reason", fields.MAX_REASON)
    subscription = _membership(session, reader)
    if subscription is None or subscription.status is SubscriptionStatus.COMPLAINED:
        return Left(reader, changed=False)
    changed = statuses.change(
        session,
        subscription,
        SubscriptionStatus.UNSUBSCRIBED,
        evidence=f"Left: {via}.",
        left_at=clock.now(),
        left_reason=why,
        paused_until=None,
    )
    if changed:
        consents.record(
            session,
            ConsentKind.LEFT,
            subscriber_id=reader.subscriber_id,
            publication_id=reader.publication_id,
            source=via,
        )
    elif why:
        subscription.left_reason = why
    return Left(reader, changed=changed)


def resume(session: Session, reader: Reader, *, via: str) -> bool:
    """End a pause, or undo leaving within 24 hours; false if the reader is getting the publication anyway."""
    subscription = _membership(session, reader)
    if subscription is None:
        raise NotFound("There is no subscription to take up again; please sign up.")
    if subscription.status is SubscriptionStatus.ACTIVE:
        resting = subscription.paused_until is not None
        _rest(session, subscription, None, f"Ended the pause: {via}.")
        return resting
    if subscription.status is not SubscriptionStatus.UNSUBSCRIBED or not _recent(subscription):
        raise Refused("That can no longer be undone; please sign up again.")
    before = statuses.before(session, subscription)
    statuses.change(session, subscription, before, evidence=f"Undid leaving: {via}.", left_at=None)
    consents.record(
        session,
        ConsentKind.RESUMED,
        subscriber_id=reader.subscriber_id,
        publication_id=reader.publication_id,
        source=via,
    )
    return True


def pause(session: Session, reader: Reader, *, weeks: int, via: str) -> dt.datetime:
    """Send nothing for 2, 4 or 8 weeks and then go on; return the instant when mail resumes."""
    if weeks not in PAUSES:
        raise Invalid(f"A pause lasts {', '.join(map(str, PAUSES[:-1]))} or {PAUSES[-1]} weeks.", field="weeks")
    subscription = _membership(session, reader)
    if subscription is None or subscription.status is not SubscriptionStatus.ACTIVE:
        raise Refused("There is no active subscription to pause; please sign up again.")
    until = clock.now() + dt.timedelta(weeks=weeks)
    _rest(session, subscription, until, f"Paused for {weeks} weeks: {via}.")
    return until


def _membership(session: Session, reader: Reader) -> Subscription | None:
    found = statuses.locked(
        session,
        Subscription.subscriber_id == reader.subscriber_id,
        Subscription.publication_id == reader.publication_id,
    )
    return found[0] if found else None


def _rest(session: Session, subscription: Subscription, until: dt.datetime | None, evidence: str) -> None:
    if subscription.paused_until == until:
        return
    subscription.paused_until = until
    active = SubscriptionStatus.ACTIVE
    statuses.note(session, subscription, before=active, after=active, evidence=evidence)


def _recent(subscription: Subscription) -> bool:
    return subscription.left_at is not None and clock.now() < subscription.left_at + UNDO
