"""SELECTs behind the studio that join what several rooms keep.

Promise: reads only, typed rows, keyset pages.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.delivery.models import Send
from newsletter.events.models import BounceClass, Event, EventKind, Verdict
from newsletter.issues.models import Issue
from newsletter.kit.paging import Page, cut


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened to a reader's mail; ``issue_id`` and ``number`` of the issue it was about, if known."""

    id: int
    at: dt.datetime
    kind: EventKind
    bounce_class: BounceClass | None
    verdict: Verdict | None
    detail: str
    issue_id: int | None
    number: int | None


def events_of(session: Session, subscriber_id: int, *, after: int | None = None, limit: int = 30) -> Page[EventRow]:
    """Return what happened to one reader's mail, newest first."""
    statement = (
        select(Event.id, Event.at, Event.kind, Event.bounce_class, Event.verdict, Event.detail, Issue.id, Issue.number)
        .outerjoin(Send, Send.id == Event.send_id)
        .outerjoin(Issue, Issue.id == Send.issue_id)
        .where(Event.subscriber_id == subscriber_id)
        .order_by(Event.id.desc())
        .limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(Event.id < after)
    rows = [EventRow(*row) for row in session.execute(statement)]
    return cut(rows, limit, lambda row: row.id)
