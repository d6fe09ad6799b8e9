"""Putting right what a crash left, and ending a send that has nothing left to do.

Promise: a lease that ran out while a delivery was only claimed makes it pending,
which is always safe; while it was sending, uncertain, never pending. The leases of
a process of this machine that is certainly gone have run out at once. After 15
minutes without evidence the publication's policy decides about the uncertain.
Running it anywhere, any number of times, at once, changes nothing more. It opens
its own transactions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter import issues, publications
from newsletter.db import Database, after_commit, later, now
from newsletter.delivery import states
from newsletter.delivery.control import CANCELLED, move, shift
from newsletter.delivery.locking import in_order
from newsletter.delivery.models import Delivery, DeliveryState, Send, SenderProcess, SendState
from newsletter.delivery.statements import LEASE_SECONDS, MAX_REPLY
from newsletter.errors import Refused
from newsletter.issues import IssueState
from newsletter.kit.processes import is_gone
from newsletter.kit.wake import wake
from newsletter.publications import UncertainPolicy

EVIDENCE_SECONDS: Final = 900  # how long evidence is waited for before the policy decides
CRASHED: Final = "the sending process ended between the first byte and the reply"
ASSUMED: Final = "assumed accepted: no evidence to the contrary came"


def recover(database: Database) -> None:
    """Look at every send that may hold expired leases or undecided deliveries, and end what is done."""
    with database.read() as session:
        gone = _gone(session)
        live = Send.state.in_((SendState.SENDING, SendState.PAUSED))
        found = session.scalars(select(Send.id).where(or_(live, Send.unsettled > 0)).order_by(Send.id)).all()
        due = [send_id for send_id in found if _needs_work(session, send_id, gone)]
    for send_id in due:
        with database.transaction() as session:
            _expire(session, send_id, gone)
            _decide(session, send_id)
        finish(database, send_id)
    if gone:
        _sign_out(database, gone)


def finish(database: Database, send_id: int) -> None:
    """End a send of which nothing is left to do; an ended one learns how much is still unsettled."""
    with database.transaction() as session:
        send = session.get(Send, send_id, with_for_update=True)
        if send is None or send.state in (SendState.SCHEDULED, SendState.MISSED, SendState.PAUSED):
            return
        if send.state is SendState.CANCELLED:  # what was on the wire and came back is called off too
            shift(session, send_id, states.CLAIMABLE, DeliveryState.SKIPPED, reply=CANCELLED, outcome_at=now())
        counts = _counts(session, send_id)
        unfinished = sum(counts.get(state, 0) for state in states.UNFINISHED)
        if unfinished and send.state is SendState.SENDING:
            return
        undecided = 0 if _policy(session, send) is UncertainPolicy.HOLD else counts.get(DeliveryState.UNCERTAIN, 0)
        unsettled = undecided + unfinished
        if send.state is SendState.SENDING:
            move(session, send_id, SendState.COMPLETE, finished_at=now(), unsettled=unsettled)
            with contextlib.suppress(Refused):  # after a retry the issue was sent already
                issues.transition(session, send.issue_id, IssueState.SENT)
        else:
            send.unsettled = unsettled


def _gone(session: Session) -> list[int]:
    """Return the senders whose process ran on this machine, did not sign out, and runs no more."""
    statement = select(SenderProcess.id, SenderProcess.process).where(SenderProcess.stopped_at.is_(None))
    return [sender for sender, process in session.execute(statement) if is_gone(process)]


def _sign_out(database: Database, gone: Sequence[int]) -> None:
    """Look after the gone no longer, once nothing that they had asked the database for can come any more."""
    quiet = (SenderProcess.id.in_(gone), SenderProcess.seen_at < later(-LEASE_SECONDS))
    with database.connection() as connection:
        connection.execute(update(SenderProcess).where(*quiet).values(stopped_at=now()))


def _expired(state: DeliveryState, gone: Sequence[int]) -> ColumnElement[bool]:
    return and_(Delivery.state == state, or_(Delivery.lease_until < now(), Delivery.owner.in_(gone)))


def _undecided() -> ColumnElement[bool]:
    return and_(Delivery.state == DeliveryState.UNCERTAIN, Delivery.outcome_at < later(-EVIDENCE_SECONDS))


def _needs_work(session: Session, send_id: int, gone: Sequence[int]) -> bool:
    """Whether anything expired, is to be decided, or nothing is left to do; one look at the ledger."""
    expired = or_(_expired(DeliveryState.CLAIMED, gone), _expired(DeliveryState.SENDING, gone))
    called_off = and_(Delivery.state.in_(states.CLAIMABLE), Send.state == SendState.CANCELLED)
    overdue, unfinished = session.execute(
        select(
            func.count().filter(or_(expired, called_off, _undecided())),
            func.count().filter(Delivery.state.in_(states.UNFINISHED)),
        )
        .join(Send, Send.id == Delivery.send_id)
        .where(Delivery.send_id == send_id)
    ).one()
    return bool(overdue) or not unfinished


def _expire(session: Session, send_id: int, gone: Sequence[int]) -> None:
    change = update(Delivery).execution_options(synchronize_session=False)
    session.execute(
        change.where(in_order(send_id, _expired(DeliveryState.CLAIMED, gone))).values(
            state=DeliveryState.PENDING, epoch=Delivery.epoch + 1, lease_until=None
        )
    )
    # Owner and epoch stay: should the owner live after all, the reply it reads is evidence.
    session.execute(
        change.where(in_order(send_id, _expired(DeliveryState.SENDING, gone))).values(
            state=DeliveryState.UNCERTAIN, lease_until=None, outcome_at=now(), reply=CRASHED
        )
    )


def _decide(session: Session, send_id: int) -> None:
    """Apply the publication's policy to what stayed uncertain for too long."""
    send = session.get_one(Send, send_id, with_for_update=True)
    policy = _policy(session, send)
    due = update(Delivery).where(Delivery.send_id == send_id, _undecided())
    if policy is UncertainPolicy.ASSUME_ACCEPTED:
        noted = (func.coalesce(Delivery.reply, "") + f"; {ASSUMED}").label("reply")
        session.execute(
            due.values(state=DeliveryState.ACCEPTED, reply=func.substr(noted, 1, MAX_REPLY)),
            execution_options={"synchronize_session": False},
        )
    elif policy is UncertainPolicy.SEND_AGAIN:
        again = session.execute(
            due.values(state=DeliveryState.PENDING, epoch=Delivery.epoch + 1).returning(Delivery.seq),
            execution_options={"synchronize_session": False},
        ).all()
        if again and send.state is SendState.COMPLETE:
            move(session, send_id, SendState.SENDING, finished_at=None, unsettled=0)
        if again:
            after_commit(session, partial(wake, "deliver", send_id))


def _policy(session: Session, send: Send) -> UncertainPolicy:
    """Return what is done about the uncertain; one that was called off sends nothing again."""
    policy = publications.by_id(session, send.publication_id).uncertain_policy
    called_off = send.state is SendState.CANCELLED and policy is UncertainPolicy.SEND_AGAIN
    return UncertainPolicy.HOLD if called_off else policy


def _counts(session: Session, send_id: int) -> dict[DeliveryState, int]:
    rows = session.execute(
        select(Delivery.state, func.count()).where(Delivery.send_id == send_id).group_by(Delivery.state)
    )
    return {row.state: row[1] for row in rows}
