"""Writes events, each once.

Promise: an event whose origin is there already is not written again, whoever
else writes it at the same moment; callers learn which ones are new, and only
those have consequences. It decides nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert as plain_insert
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.audience import Reader
from newsletter.delivery import settle
from newsletter.delivery.models import Recipient
from newsletter.events.models import BounceClass, Event, EventKind, Verdict
from newsletter.kit import clock


@dataclass(frozen=True, slots=True)
class Fact:
    """One event to be written; the names are those of ``Event``."""

    kind: EventKind
    at: dt.datetime
    send_id: int | None = None
    seq: int | None = None
    subscriber_id: int | None = None
    bounce_class: BounceClass | None = None
    hard: bool = False
    link: int | None = None
    verdict: Verdict | None = None
    detail: str = ""
    origin: str | None = None
    intake_id: int | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return {name: getattr(self, name) for name in self.__slots__}


def write(session: Session, facts: Sequence[Fact]) -> dict[str, int]:
    """Write facts that have an origin; return the ids of those that are new, by origin."""
    if not facts:
        return {}
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = (
        dialect.insert(Event).on_conflict_do_nothing(index_elements=["origin"]).returning(Event.origin, Event.id)
    )
    rows = session.execute(statement, [fact.row() for fact in facts])
    return {origin: ident for origin, ident in rows if origin is not None}


def append(session: Session, facts: Sequence[Fact]) -> None:
    """Write facts without an origin, many at once."""
    if facts:
        session.execute(plain_insert(Event), [fact.row() for fact in facts])


def unsubscribed(session: Session, reader: Reader, *, via: str) -> None:
    """Note that a reader left, so that the issue whose link was used counts its leavers; once per issue."""
    seq = session.scalar(
        select(Recipient.seq).where(
            Recipient.send_id == reader.send_id, Recipient.subscriber_id == reader.subscriber_id
        )
    )
    fact = Fact(
        EventKind.UNSUBSCRIBED,
        clock.now(),
        send_id=reader.send_id or None,
        seq=seq,
        subscriber_id=reader.subscriber_id,
        detail=via,
        origin=f"left:{reader.send_id}:{reader.subscriber_id}" if reader.send_id else None,
    )
    if fact.origin:
        write(session, [fact])
        if seq:
            settle(session, reader.send_id, [seq], evidence=f"left by {via}")
    else:
        append(session, [fact])
