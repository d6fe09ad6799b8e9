"""Telling the desk that an issue did not go out, or stopped on its way.

Promise: each such fact about a send is told once to every active editor and
administrator, whoever looks for it and however often. It reads what delivery
wrote and changes nothing of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from newsletter import publications, staff
from newsletter.delivery.models import Send, SendState
from newsletter.issues.models import Issue
from newsletter.kit import clock
from newsletter.notices.models import Notice
from newsletter.notices.outbox import queue
from newsletter.staff import Role

KIND: Final = "alarm"
RECENT: Final = dt.timedelta(days=7)
WHAT: Final = {SendState.MISSED: "was not sent", SendState.PAUSED: "has stopped"}


@dataclass(frozen=True, slots=True)
class Alarm:
    """A send that needs a person."""

    send_id: int
    issue_id: int
    publication_id: int
    number: int
    state: SendState
    problem: str

    @property
    def about(self) -> str:
        """What makes a second look find the first alarm."""
        return f"send:{self.send_id} {self.state}: {self.problem}"[:120]


def due_alarms(session: Session) -> list[Alarm]:
    """Return the sends of the last week that were missed, or that stopped by themselves, and nobody was told of."""
    stopped = and_(Send.state == SendState.PAUSED, Send.problem != "")
    rows = session.execute(
        select(Send.id, Send.issue_id, Send.publication_id, Issue.number, Send.state, Send.problem)
        .join(Issue, Issue.id == Send.issue_id)
        .where(or_(Send.state == SendState.MISSED, stopped), Send.send_at > clock.now() - RECENT)
        .order_by(Send.id)
    )
    alarms = [Alarm(*row) for row in rows]
    told = select(Notice.about).where(Notice.kind == KIND, Notice.about.in_([alarm.about for alarm in alarms]))
    known = set(session.scalars(told)) if alarms else set()
    return [alarm for alarm in alarms if alarm.about not in known]


def raise_alarms(session: Session, alarms: Sequence[Alarm], *, base_url: str) -> int:
    """Put a notice for every editor and administrator into the outbox; return how many."""
    desk = [person.email for person in staff.listing(session) if person.active and staff.may(person.role, Role.EDITOR)]
    queued = 0
    for alarm in alarms:
        publication = publications.by_id(session, alarm.publication_id)
        facts = {
            "headline": f"{publication.name} no. {alarm.number} {WHAT[alarm.state]}",
            "sentence": alarm.problem or "Its hour passed and nobody has sent it; please look at it.",
            "studio_url": f"{base_url}/studio/sends/{alarm.send_id}",
        }
        for to in desk:
            about = alarm.about
            notice = queue(session, kind=KIND, to=to, publication_id=alarm.publication_id, facts=facts, about=about)
            queued += notice is not None
    return queued
