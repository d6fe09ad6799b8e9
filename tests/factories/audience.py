"""Subscribers for tests: one with a given status, or thousands at once."""

from __future__ import annotations

from sqlalchemy import insert, literal, select

from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus
from newsletter.db import Database
from newsletter.kit import addresses, clock

SECRET = b"a test key that is long enough to be accepted"  # that of the `settings` fixture


def subscriber(
    session,
    secret: bytes,
    email: str,
    publication_id: int,
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE,
    **fields,
) -> Subscriber:
    """A subscriber of a publication; a second call with the same address adds a publication."""
    address = addresses.parse(email)
    person = session.scalar(select(Subscriber).where(Subscriber.address == address.normal))
    if person is None:
        person = Subscriber(
            email=address.shown,
            address=address.normal,
            address_hash=addresses.keyed_hash(secret, address.normal),
            created_at=clock.now(),
            **fields,
        )
        session.add(person)
        session.flush()
    moment = clock.now()
    session.add(
        Subscription(
            subscriber_id=person.id,
            publication_id=publication_id,
            status=status,
            source="test",
            created_at=moment,
            confirmed_at=None if status is SubscriptionStatus.PENDING else moment,
            left_at=moment if status is SubscriptionStatus.UNSUBSCRIBED else None,
        )
    )
    session.flush()
    return person


def many(database: Database, n: int, publication_id: int, *, secret: bytes = SECRET, prefix: str = "reader") -> None:
    """``n`` active subscribers reader1@example.org, reader2@example.org, ... of a publication."""
    moment = clock.now()
    with database.connection() as connection:
        connection.execute(
            insert(Subscriber),
            [
                {
                    "email": address,
                    "address": address,
                    "address_hash": addresses.keyed_hash(secret, address),
                    "first_name": f"Reader {number}",
                    "last_name": "",
                    "attributes": {},
                    "language": "",
                    "tracking": True,
                    "created_at": moment,
                }
                for number in range(1, n + 1)
                for address in (f"{prefix}{number}@example.org",)
            ],
        )
        fresh = select(
            Subscriber.id,
            literal(publication_id),
            literal(SubscriptionStatus.ACTIVE.value),
            literal("test"),
            Subscriber.created_at,
            Subscriber.created_at,
            literal(""),
        ).where(Subscriber.address.like(f"{prefix}%@example.org"), Subscriber.created_at == moment)
        columns = ["subscriber_id", "publication_id", "status", "source", "created_at", "confirmed_at", "left_reason"]
        connection.execute(insert(Subscription).from_select(columns, fresh))
