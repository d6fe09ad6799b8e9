"""SELECTs of the delivery room, as typed rows.

Promise: reads only. ``status`` counts the ledger itself, in one statement, so that
the sum over the states is the audience at every moment, whatever a crash left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from newsletter.db import later
from newsletter.delivery import states
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send, SenderProcess, SendState
from newsletter.delivery.pace import estimate, paces
from newsletter.delivery.pace.estimate import LaneCounts, LaneStatus
from newsletter.delivery.pace.providers import Provider
from newsletter.errors import NotFound
from newsletter.kit.paging import MAX_PAGE, PAGE, Page, cut

RATE_SECONDS: Final = 20  # the stretch over which the present speed is measured


@dataclass(frozen=True, slots=True)
class SendStatus:
    """A send and its accounting: ``audience`` is the sum of the eight states from its freeze on (0 before).

    ``rate`` is deliveries a second, lately while it runs and overall afterwards;
    ``finishes_at`` is an estimate that reckons with limits, pauses and warm-up, None
    when there is nothing to go by. ``problem`` also names the providers that wait.
    """

    send: int
    issue: int
    publication: int
    state: SendState
    audience: int
    pending: int
    claimed: int
    sending: int
    accepted: int
    deferred: int
    refused: int
    uncertain: int
    skipped: int
    problem: str
    asked_by: str
    send_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    rate: float
    finishes_at: dt.datetime | None
    lanes: tuple[LaneStatus, ...]  # by mailbox provider; empty before the freeze

    @property
    def unfinished(self) -> int:
        """How many deliveries have no outcome yet."""
        return self.pending + self.claimed + self.sending + self.deferred

    @property
    def held(self) -> bool:
        """Whether all that is left waits for a provider that is paused, or for the next day of the warm-up."""
        waiting = [lane for lane in self.lanes if lane.left]
        return bool(waiting) and all(lane.held for lane in waiting) and not self.claimed + self.sending

    @property
    def summary(self) -> str:
        """Say in words how it stands; ``complete`` alone means that everyone was served."""
        if self.state is not SendState.COMPLETE:
            return str(self.state)
        rest = [
            f"{count} {word}" for count, word in ((self.refused, "refused"), (self.uncertain, "uncertain")) if count
        ]
        return f"complete with {', '.join(rest)}" if rest else "complete"

    def as_json(self) -> dict[str, Any]:
        """Return the flat object of the command line and the API."""
        return {
            "send": self.send,
            "issue": self.issue,
            "state": str(self.state),
            "summary": self.summary,
            "audience": self.audience,
            **{str(state): getattr(self, state) for state in DeliveryState},
            "problem": self.problem,
            "send_at": _iso(self.send_at),
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "rate": round(self.rate, 1),
            "finishes_at": _iso(self.finishes_at),
        }


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """One delivery with its person. ``command`` and ``code`` are those of the decisive SMTP reply, if one was read."""

    send: int
    seq: int
    subscriber_id: int
    edition_id: int
    address: str
    state: DeliveryState
    attempt: int
    command: str | None
    code: int | None
    reply: str | None
    relay: str | None
    not_before: dt.datetime | None
    intent_at: dt.datetime | None
    outcome_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class SenderRow:
    """A process that sends or has sent."""

    id: int
    host: str
    pid: int
    started_at: dt.datetime
    seen_at: dt.datetime
    stopped_at: dt.datetime | None


def status(session: Session, send_id: int) -> SendStatus:
    """Return how a send stands now, or raise ``NotFound``."""
    send = session.get(Send, send_id, populate_existing=True)
    if send is None:
        raise NotFound(f"There is no send with the id {send_id}.")
    recent = func.count().filter(Delivery.outcome_at > later(-RATE_SECONDS))
    rows = session.execute(
        select(Delivery.lane, Delivery.state, func.count(), recent)
        .where(Delivery.send_id == send_id)
        .group_by(Delivery.lane, Delivery.state)
    ).all()
    counts = {str(state): sum(row[2] for row in rows if row.state is state) for state in DeliveryState}
    known, moment = paces.read(session)
    rate = _rate(send, sum(row[3] for row in rows), counts, moment)
    going = send.state is SendState.SENDING
    lanes = estimate.lanes(_by_lane(rows), known, moment, _stretch(send, moment), going=going)
    held = " ".join(lane.held for lane in lanes if going and lane.held)
    return SendStatus(
        send=send.id,
        issue=send.issue_id,
        publication=send.publication_id,
        state=send.state,
        audience=send.audience,
        problem=send.problem or held,
        asked_by=send.asked_by,
        send_at=send.send_at,
        started_at=send.started_at,
        finished_at=send.finished_at,
        rate=rate,
        finishes_at=estimate.finish(lanes),
        lanes=lanes,
        **counts,
    )


def _by_lane(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[LaneCounts]:
    """Sum up the counts of (lane, state, deliveries, recent ones), for the lanes that have any."""
    found = []
    for provider in (*Provider, Provider.OTHER)[1:]:  # the rest comes last
        mine = [row for row in rows if row.lane == provider]
        left = sum(row[2] for row in mine if row.state in states.UNFINISHED)
        if mine:
            found.append(LaneCounts(provider, sum(row[2] for row in mine), left, sum(row[3] for row in mine)))
    return found


def _rate(send: Send, recent: int, counts: dict[str, int], moment: dt.datetime) -> float:
    if send.started_at is None:
        return 0.0
    if send.finished_at is not None:
        served = send.audience - counts[DeliveryState.SKIPPED]
        return served / max((send.finished_at - send.started_at).total_seconds(), 0.001)
    return recent / _stretch(send, moment)


def _stretch(send: Send, moment: dt.datetime) -> float:
    """Return the seconds over which the present speed of a send is measured."""
    elapsed = (moment - send.started_at).total_seconds() if send.started_at else RATE_SECONDS
    return max(min(elapsed, RATE_SECONDS), 0.001)


def sends_of(session: Session, issue_id: int) -> list[SendStatus]:
    """Return every send of an issue, oldest first."""
    found = session.scalars(select(Send.id).where(Send.issue_id == issue_id).order_by(Send.id)).all()
    return [status(session, send_id) for send_id in found]


def recipients(
    session: Session, send_id: int, state: DeliveryState | None = None, after: int = 0, limit: int = PAGE
) -> Page[RecipientRow]:
    """Return a page of a send's deliveries by ``seq``, all or those in one state."""
    limit = min(limit, MAX_PAGE)
    statement = _recipients(send_id).where(Delivery.seq > after).order_by(Delivery.seq).limit(limit + 1)
    if state is not None:
        statement = statement.where(Delivery.state == state)
    rows = [RecipientRow(*row) for row in session.execute(statement)]
    return cut(rows, limit, lambda row: row.seq)


def recipient_of(session: Session, send_id: int, seq: int) -> RecipientRow | None:
    """Return one delivery, or None if there is no such."""
    row = session.execute(_recipients(send_id).where(Delivery.seq == seq)).one_or_none()
    return RecipientRow(*row) if row else None


def senders(session: Session) -> list[SenderRow]:
    """Return the processes that have not said that they stopped, the latest first."""
    statement = select(SenderProcess).where(SenderProcess.stopped_at.is_(None)).order_by(SenderProcess.id.desc())
    return [
        SenderRow(one.id, one.host, one.pid, one.started_at, one.seen_at, one.stopped_at)
        for one in session.scalars(statement)
    ]


def _recipients(send_id: int) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Delivery.send_id,
            Delivery.seq,
            Recipient.subscriber_id,
            Recipient.edition_id,
            Recipient.address,
            Delivery.state,
            Delivery.attempt,
            Delivery.command,
            Delivery.code,
            Delivery.reply,
            Delivery.relay,
            Delivery.not_before,
            Delivery.intent_at,
            Delivery.outcome_at,
        )
        .join(Recipient, (Recipient.send_id == Delivery.send_id) & (Recipient.seq == Delivery.seq))
        .where(Delivery.send_id == send_id)
    )


def _iso(instant: dt.datetime | None) -> str | None:
    return instant.isoformat() if instant else None
