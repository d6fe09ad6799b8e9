"""Turns deliveries that a server refused into bounced events.

Promise: each delivery refused with a 5xx becomes one event, however often and
by however many processes this runs, and readers' records follow the policy.
What was refused at MAIL is never the reader's fault. It opens transactions of its
own, one per batch, since a send may have thousands of refusals.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, String, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter.config import Settings
from newsletter.db import Database, later
from newsletter.delivery.models import Delivery, DeliveryState, Recipient, Send
from newsletter.events import policy, record
from newsletter.events.classify import Judgement, Stage, classify
from newsletter.events.models import BounceClass, Event, EventKind
from newsletter.kit import clock

BATCH: Final = 1_000
RECENT_SECONDS: Final = 3 * 86_400  # sends that ended longer ago have been absorbed
PERMANENT: Final = 500  # RFC 5321 4.2.1: 5yz


def absorb_refusals(database: Database, settings: Settings, send_id: int | None = None) -> int:  # noqa: ARG001 - every job is given both
    """Absorb the refusals of one send, or of all recent ones; return how many events were new."""
    with database.read() as session:
        sends = _sends(session, send_id)
    return sum(_absorb(database, ident, publication_id) for ident, publication_id in sends)


def _sends(session: Session, send_id: int | None) -> list[tuple[int, int]]:
    recent = or_(Send.finished_at.is_(None), Send.finished_at > later(-RECENT_SECONDS))
    chosen = Send.id == send_id if send_id else (Send.started_at.is_not(None) & recent)
    return [
        (ident, publication_id)
        for ident, publication_id in session.execute(select(Send.id, Send.publication_id).where(chosen))
    ]


def _absorb(database: Database, send_id: int, publication_id: int) -> int:
    new = after = 0
    while True:
        with database.transaction() as session:
            batch = _refused(session, send_id, after)
            new += _bounce(session, publication_id, batch)
        if len(batch) < BATCH:
            return new
        after = batch[-1].seq


def _refused(session: Session, send_id: int, after: int) -> list[Delivery]:
    known = exists().where(Event.origin == _origin_column())
    statement = (
        select(Delivery)
        .where(
            Delivery.send_id == send_id,
            Delivery.seq > after,
            Delivery.state == DeliveryState.REFUSED,
            Delivery.code >= PERMANENT,
            ~known,
        )
        .order_by(Delivery.seq)
        .limit(BATCH)
    )
    return list(session.scalars(statement))


def _origin_column() -> ColumnElement[str]:
    """Return the origin of a refusal's event, as SQL; ``_origin`` is the same in Python."""
    parts = (cast(column, String) for column in (Delivery.send_id, Delivery.seq, Delivery.attempt))
    origin: ColumnElement[str] = func.lower(func.coalesce(Delivery.command, "smtp"))
    for part in parts:
        origin = origin + ":" + part
    return origin


def _origin(row: Delivery) -> str:
    return f"{(row.command or 'smtp').lower()}:{row.send_id}:{row.seq}:{row.attempt}"


def _bounce(session: Session, publication_id: int, batch: list[Delivery]) -> int:
    if not batch:
        return 0
    send_id = batch[0].send_id
    people = dict(
        session.execute(
            select(Recipient.seq, Recipient.subscriber_id).where(
                Recipient.send_id == send_id, Recipient.seq.in_([row.seq for row in batch])
            )
        ).all()
    )
    judgements = {row.seq: _judge(row) for row in batch}
    facts = [
        record.Fact(
            EventKind.BOUNCED,
            row.outcome_at or clock.now(),
            send_id=send_id,
            seq=row.seq,
            subscriber_id=people.get(row.seq),
            bounce_class=judgements[row.seq].bounce_class,
            hard=judgements[row.seq].hard,
            detail=f"{row.code} {row.reply or ''}".strip(),
            origin=_origin(row),
        )
        for row in batch
    ]
    new = record.write(session, facts)
    policy.apply(
        session,
        [
            _failure(fact, new[fact.origin], publication_id)
            for fact in facts
            if fact.origin in new and fact.subscriber_id
        ],
    )
    return len(new)


def _judge(row: Delivery) -> Judgement:
    said = (row.reply or "").strip()
    reply = said if said.startswith(str(row.code)) else f"{row.code} {said}"
    stage = {"RCPT": Stage.RCPT, "DATA": Stage.DATA}.get(row.command or "", Stage.UNKNOWN)
    judgement = classify(reply, stage=stage)
    if row.command == "MAIL" and judgement.bounce_class in policy.POLICY:
        return Judgement(BounceClass.BLOCK_REPUTATION, hard=False, status=judgement.status)
    return judgement


def _failure(fact: record.Fact, event_id: int, publication_id: int) -> policy.Failure:
    assert fact.send_id is not None
    assert fact.subscriber_id is not None
    assert fact.bounce_class is not None
    return policy.Failure(
        event_id=event_id,
        at=fact.at,
        kind=fact.kind,
        send_id=fact.send_id,
        publication_id=publication_id,
        subscriber_id=fact.subscriber_id,
        bounce_class=fact.bounce_class,
        hard=fact.hard,
        reply=fact.detail,
    )
