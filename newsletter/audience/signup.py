"""Signing up: one field, one mail, one button.

Promise: ``ask`` does the same for the person at the form whatever is known of
the address (T10); only the notice that follows differs. Nobody can be made to
get more than one such mail in 24 hours, or more than three ever without having
confirmed one (T11). ``confirm`` is the only way from a form to an active
subscription, is idempotent, and leaves the proof. Neither sends anything.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.audience import consents, fields, joining, statuses, suppression
from newsletter.audience.links import Links
from newsletter.audience.models import (
    ConfirmationRequest,
    Consent,
    ConsentKind,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.errors import BadToken, Refused
from newsletter.kit import addresses, clock

VALID: Final = dt.timedelta(days=7)
DAY: Final = dt.timedelta(hours=24)
HOUR: Final = dt.timedelta(hours=1)
MAX_SOURCE: Final = 120
MAX_WORDING: Final = 64


class Outcome(enum.StrEnum):
    """What a sign-up came to; for the notice, never for the person at the form."""

    CONFIRM = "confirm"  # send the link
    ALREADY = "already"  # send a word that nothing is needed
    SUPPRESSED = "suppressed"  # send nothing
    LIMITED = "limited"  # send nothing: too many were asked for


@dataclass(frozen=True, slots=True)
class Limits:
    """How many mails sign-ups may cause. ``unconfirmed`` counts since the address last confirmed anything."""

    every: dt.timedelta = DAY
    unconfirmed: int = 3
    network_per_hour: int = 30
    network_per_day: int = 200


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Asked:
    """A sign-up that was taken: whom to write to about what. The ids are set for ``confirm`` and ``already``."""

    outcome: Outcome
    publication_id: int
    address: str
    subscriber_id: int | None = None
    subscription_id: int | None = None
    expires_at: dt.datetime | None = None  # of the confirmation link


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What a confirmation page may show: for which publication, which address (masked), and how it stands."""

    publication_id: int
    masked: str
    active: bool
    expired: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A subscription that is active now; ``changed`` is false if it was already."""

    publication_id: int
    subscriber_id: int
    subscription_id: int
    address: str
    changed: bool


def ask(
    session: Session,
    secret: bytes,
    *,
    email: str,
    publication_id: int,
    source: str,
    wording: str,
    network: str = "",
    limits: Limits = LIMITS,
) -> Asked:
    """Take a sign-up from a form.

    ``source`` names the form, ``wording`` the version of the text beside its
    button, ``network`` the IP address it came from. ``Invalid`` if the address
    cannot be one: that says nothing about who is known here.
    """
    address = addresses.parse(email)
    source, wording = fields.line(source, "source", MAX_SOURCE), fields.line(wording, "wording", MAX_WORDING)
    address_hash = addresses.keyed_hash(secret, address.normal)
    network_hash = consents.hash_of_network(secret, network)
    if suppression.against_wish(session, address_hash, publication_id):
        return Asked(Outcome.SUPPRESSED, publication_id, address.shown)
    if _network_is_busy(session, network_hash, limits):
        return Asked(Outcome.LIMITED, publication_id, address.shown)
    subscriber_id = _subscriber(session, address, address_hash)
    if _address_is_busy(session, address_hash, subscriber_id, limits):
        return Asked(Outcome.LIMITED, publication_id, address.shown)
    session.add(ConfirmationRequest(address_hash=address_hash, network_hash=network_hash, at=clock.now()))
    subscription = joining.membership(
        session,
        subscriber_id=subscriber_id,
        publication_id=publication_id,
        source=source,
        evidence=f"Asked for at: {source}.",
    )
    if subscription.status is SubscriptionStatus.ACTIVE:
        return Asked(Outcome.ALREADY, publication_id, address.shown, subscriber_id, subscription.id)
    consents.record(
        session,
        ConsentKind.ASKED,
        subscriber_id=subscriber_id,
        publication_id=publication_id,
        source=source,
        wording=wording,
        network_hash=network_hash,
    )
    expires_at = clock.now() + VALID
    return Asked(Outcome.CONFIRM, publication_id, address.shown, subscriber_id, subscription.id, expires_at)


def awaiting(session: Session, secret: bytes, token: str) -> Awaiting:
    """Return what the confirmation page shows; changes nothing. ``BadToken`` if there is no such subscription."""
    link = Links("", secret).open_confirm(token)
    subscription = session.get(Subscription, link.subscription_id)
    if subscription is None:
        raise BadToken
    subscriber = session.get_one(Subscriber, subscription.subscriber_id)
    return Awaiting(
        publication_id=subscription.publication_id,
        masked=addresses.parse(subscriber.email).masked,
        active=subscription.status is SubscriptionStatus.ACTIVE,
        expired=_expired(subscription, link.expires_at),
    )


def confirm(session: Session, secret: bytes, token: str, *, network: str = "") -> Confirmed:
    """Make the subscription of a confirmation link active. Call it for a POST only.

    ``BadToken`` for a link that is not ours or whose reader was erased; ``Refused``
    for one that has expired (7 days, or the reader has left since) or whose
    address is suppressed.
    """
    link = Links("", secret).open_confirm(token)
    found = statuses.locked(session, Subscription.id == link.subscription_id)
    if not found:
        raise BadToken
    subscription = found[0]
    subscriber = session.get_one(Subscriber, subscription.subscriber_id)
    changed = subscription.status is not SubscriptionStatus.ACTIVE
    if changed:
        if _expired(subscription, link.expires_at):
            raise Refused("This confirmation link has expired; please sign up again.")
        joining.activate(
            session,
            subscription,
            subscriber.address_hash,
            evidence="Confirmed by the link in the mail.",
            source="confirmation link",
            network_hash=consents.hash_of_network(secret, network),
        )
    return Confirmed(subscription.publication_id, subscriber.id, subscription.id, subscriber.email, changed)


def _expired(subscription: Subscription, expires_at: dt.datetime) -> bool:
    """Whether a link is too old, or older than its reader's leaving: the reader's last word counts."""
    left = subscription.left_at
    return clock.now() > expires_at or (left is not None and left > expires_at - VALID)


def _subscriber(session: Session, address: addresses.Address, address_hash: str) -> int:
    """Return the id of the subscriber with this address, made if need be, locked until the transaction ends."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(Subscriber)
        .values(email=address.shown, address=address.normal, address_hash=address_hash, created_at=clock.now())
        .on_conflict_do_nothing(index_elements=[Subscriber.address])
    )
    found = session.scalar(select(Subscriber.id).where(Subscriber.address == address.normal).with_for_update())
    assert found is not None
    return found


def _requests(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(ConfirmationRequest).where(*conditions)) or 0


def _network_is_busy(session: Session, network_hash: str, limits: Limits) -> bool:
    if not network_hash:
        return False
    here = ConfirmationRequest.network_hash == network_hash
    moment = clock.now()
    return (
        _requests(session, here, ConfirmationRequest.at > moment - DAY) >= limits.network_per_day
        or _requests(session, here, ConfirmationRequest.at > moment - HOUR) >= limits.network_per_hour
    )


def _address_is_busy(session: Session, address_hash: str, subscriber_id: int, limits: Limits) -> bool:
    """Whether the address has had its mail of the day, or its last one until it confirms."""
    mine = [ConfirmationRequest.address_hash == address_hash]
    proven = (Consent.subscriber_id == subscriber_id, Consent.kind == ConsentKind.CONFIRMED)
    confirmed_at = session.scalar(select(func.max(Consent.at)).where(*proven))
    if confirmed_at is not None:  # a confirmation proves that the mails were wanted
        mine.append(ConfirmationRequest.at > confirmed_at)
    return (
        _requests(session, *mine) >= limits.unconfirmed
        or _requests(session, *mine, ConfirmationRequest.at > clock.now() - limits.every) > 0
    )
