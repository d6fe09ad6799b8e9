"""SELECTs of the audience room, as typed rows.

Promise: reads only. Lists are keyset pages; an address nobody has is ``NotFound``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, and_, case, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from newsletter.audience.eligibility import is_paused, is_suppressed
from newsletter.audience.models import (
    Consent,
    ConsentKind,
    StatusChange,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.audience.suppression import Suppressed, suppressions
from newsletter.errors import NotFound
from newsletter.kit import addresses, clock
from newsletter.kit.paging import MAX_PAGE, PAGE, Page, cut


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of status, with why."""

    at: dt.datetime
    before: SubscriptionStatus | None
    after: SubscriptionStatus
    evidence: str
    event_id: int | None


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One dated proof."""

    publication_id: int
    at: dt.datetime
    kind: ConsentKind
    source: str
    wording: str


@dataclass(frozen=True, slots=True)
class MembershipView:
    """One subscription with its history, oldest change first."""

    subscription_id: int
    publication_id: int
    status: SubscriptionStatus
    source: str
    created_at: dt.datetime
    confirmed_at: dt.datetime | None
    paused_until: dt.datetime | None
    left_at: dt.datetime | None
    left_reason: str
    history: tuple[ChangeRow, ...]


@dataclass(frozen=True, slots=True)
class SubscriberView:
    """Everything that is known of one person."""

    subscriber_id: int
    email: str
    first_name: str
    last_name: str
    attributes: dict[str, Any]
    language: str
    tracking: bool
    created_at: dt.datetime
    memberships: tuple[MembershipView, ...]
    consents: tuple[ConsentRow, ...]
    suppressions: tuple[Suppressed, ...]


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """One line of a list of a publication's readers."""

    subscriber_id: int
    email: str
    first_name: str
    last_name: str
    status: SubscriptionStatus
    paused_until: dt.datetime | None
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How a publication's readers stand. ``eligible`` are mailed; paused and suppressed ones are active but not."""

    eligible: int
    paused: int
    suppressed: int
    pending: int
    unsubscribed: int
    bounced: int
    complained: int

    @property
    def active(self) -> int:
        """Those with the status active, mailed or not."""
        return self.eligible + self.paused + self.suppressed


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """How many became active and how many ceased to be, on one day (UTC)."""

    day: dt.date
    joined: int
    left: int


def show(session: Session, address: str) -> SubscriberView:
    """Return everything known of the person with this address."""
    normal = addresses.parse(address).normal
    subscriber = session.scalar(select(Subscriber).where(Subscriber.address == normal))
    if subscriber is None:
        raise NotFound(f"There is no subscriber “{address.strip()}”.")
    return view(session, subscriber)


def by_id(session: Session, subscriber_id: int) -> SubscriberView:
    """Return everything known of one person."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound(f"There is no subscriber with the id {subscriber_id}.")
    return view(session, subscriber)


def view(session: Session, subscriber: Subscriber) -> SubscriberView:
    """Gather what hangs on a subscriber's row."""
    subscriptions = select(Subscription).where(Subscription.subscriber_id == subscriber.id).order_by(Subscription.id)
    consents = select(Consent).where(Consent.subscriber_id == subscriber.id).order_by(Consent.id)
    return SubscriberView(
        subscriber_id=subscriber.id,
        email=subscriber.email,
        first_name=subscriber.first_name,
        last_name=subscriber.last_name,
        attributes=dict(subscriber.attributes),
        language=subscriber.language,
        tracking=subscriber.tracking,
        created_at=subscriber.created_at,
        memberships=tuple(_membership(session, subscription) for subscription in session.scalars(subscriptions)),
        consents=tuple(
            ConsentRow(row.publication_id, row.at, row.kind, row.source, row.wording)
            for row in session.scalars(consents)
        ),
        suppressions=tuple(suppressions(session, subscriber.address_hash)),
    )


def _membership(session: Session, subscription: Subscription) -> MembershipView:
    changes = select(StatusChange).where(StatusChange.subscription_id == subscription.id).order_by(StatusChange.id)
    return MembershipView(
        subscription_id=subscription.id,
        publication_id=subscription.publication_id,
        status=subscription.status,
        source=subscription.source,
        created_at=subscription.created_at,
        confirmed_at=subscription.confirmed_at,
        paused_until=subscription.paused_until,
        left_at=subscription.left_at,
        left_reason=subscription.left_reason,
        history=tuple(
            ChangeRow(row.at, row.before, row.after, row.evidence, row.event_id) for row in session.scalars(changes)
        ),
    )


def search(
    session: Session,
    publication_id: int,
    text: str = "",
    *,
    status: SubscriptionStatus | None = None,
    after: int = 0,
    limit: int = PAGE,
) -> Page[SubscriberRow]:
    """Return a page of a publication's readers whose address contains ``text``, by subscriber id."""
    limit = min(limit, MAX_PAGE)
    statement = (
        select(
            Subscriber.id,
            Subscriber.email,
            Subscriber.first_name,
            Subscriber.last_name,
            Subscription.status,
            Subscription.paused_until,
            Subscription.created_at,
        )
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.publication_id == publication_id, Subscriber.id > after)
        .order_by(Subscriber.id)
        .limit(limit + 1)
    )
    if status is not None:
        statement = statement.where(Subscription.status == status)
    if part := text.strip().casefold():
        statement = statement.where(Subscriber.address.contains(part, autoescape=True))
    rows = [SubscriberRow(*row) for row in session.execute(statement)]
    return cut(rows, limit, lambda row: row.subscriber_id)


def counts(session: Session, publication_id: int) -> Counts:
    """Count a publication's readers by how they stand."""
    active = Subscription.status == SubscriptionStatus.ACTIVE
    suppressed = is_suppressed(Subscriber.address_hash.expression, publication_id)
    standing = case(
        (and_(active, suppressed), "suppressed"),
        (and_(active, is_paused()), "paused"),
        (active, "eligible"),
        else_=type_coerce(Subscription.status, String),
    )
    grouped = (
        select(standing.label("standing"), Subscription.subscriber_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.publication_id == publication_id)
        .subquery()
    )
    rows = session.execute(select(grouped.c.standing, func.count()).group_by(grouped.c.standing))
    found = {str(name): int(number) for name, number in rows}
    names = ("eligible", "paused", "suppressed", "pending", "unsubscribed", "bounced", "complained")
    return Counts(*(found.get(name, 0) for name in names))


def growth(session: Session, publication_id: int, *, days: int = 30) -> list[GrowthRow]:
    """Return the days on which readers came or went, among the last ``days``, oldest first."""
    at = StatusChange.at
    postgresql = session.get_bind().dialect.name == "postgresql"
    day = func.to_char(func.timezone("UTC", at), "YYYY-MM-DD") if postgresql else func.date(at)
    active = SubscriptionStatus.ACTIVE
    came = or_(StatusChange.before.is_(None), StatusChange.before != active)
    joined = func.sum(case((and_(StatusChange.after == active, came), 1), else_=0))
    left = func.sum(case((and_(StatusChange.before == active, StatusChange.after != active), 1), else_=0))
    statement = (
        select(day.label("day"), joined, left)
        .join(Subscription, Subscription.id == StatusChange.subscription_id)
        .where(Subscription.publication_id == publication_id, at > clock.now() - dt.timedelta(days=days))
        .group_by("day")
        .order_by("day")
    )
    rows = [
        GrowthRow(dt.date.fromisoformat(day), int(came), int(went)) for day, came, went in session.execute(statement)
    ]
    return [row for row in rows if row.joined or row.left]
