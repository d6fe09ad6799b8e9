"""What a person may demand: a copy of their data, and to be forgotten.

Promise: ``personal_data`` is everything this room keeps about one person.
``erase`` deletes it all and leaves one suppression by keyed hash, so that no
import brings the address back (T30); the person may still sign up anew. The
ledger of past sends is not touched: what was mailed stays on record.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.audience import suppression
from newsletter.audience.models import ConfirmationRequest, Subscriber, SuppressionReason
from newsletter.audience.queries import SubscriberView, view
from newsletter.errors import NotFound
from newsletter.kit import addresses


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Everything kept about one person in this room, and when each mail to confirm was asked for."""

    subscriber: SubscriberView
    confirmation_requests: tuple[dt.datetime, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types, for a file that the person can keep and read."""
        whole: dict[str, Any] = _plain(dataclasses.asdict(self))
        return whole


def personal_data(session: Session, subscriber_id: int) -> PersonalData:
    """Return a copy of a person's data."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound("There is no such subscriber.")
    asked = session.scalars(
        select(ConfirmationRequest.at)
        .where(ConfirmationRequest.address_hash == subscriber.address_hash)
        .order_by(ConfirmationRequest.id)
    )
    return PersonalData(view(session, subscriber), tuple(asked))


def erase(session: Session, secret: bytes, address: str, *, evidence: str = "") -> bool:
    """Forget a person; false if only the suppression of an earlier erasure was left of them."""
    normal = addresses.parse(address).normal
    address_hash = addresses.keyed_hash(secret, normal)
    erased = SuppressionReason.ERASED
    subscriber = session.scalar(select(Subscriber.id).where(Subscriber.address == normal))
    if subscriber is None and not suppression.suppressions(session, address_hash):
        raise NotFound(f"There is no subscriber “{address.strip()}”.")
    session.execute(delete(Subscriber).where(Subscriber.address == normal))  # and, by cascade, all that hangs on it
    session.execute(delete(ConfirmationRequest).where(ConfirmationRequest.address_hash == address_hash))
    suppression.add(session, address_hash, reason=erased, publication_id=None, evidence=evidence)
    return subscriber is not None


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of a dataclass, turned into what JSON knows
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, dt.datetime) else value
