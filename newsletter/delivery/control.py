"""What a person can do to a send: pause, resume, cancel, retry.

Promise: each takes effect in its own commit, on every worker at once: rows that
are claimed go back or are skipped under a new epoch, so that whoever holds them
finds the fence closed before anything is written. What is on the wire at that
moment is finished and recorded. Each function takes a session and does not commit.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from newsletter import issues
from newsletter.db import after_commit, now
from newsletter.delivery import states
from newsletter.delivery.locking import in_order
from newsletter.delivery.models import Delivery, DeliveryState, Send, SendState
from newsletter.delivery.queries import SendStatus, status
from newsletter.errors import NotFound, Refused
from newsletter.issues import IssueState
from newsletter.kit.wake import wake

CANCELLED: Final = "cancelled"  # the reason of deliveries that a person called off


def move(session: Session, send_id: int, to: SendState, **values: Any) -> None:  # noqa: ANN401 - columns of Send
    """Move a send along the table of transitions; ``Refused`` names the state that does not allow it."""
    statement = (
        update(Send)
        .where(Send.id == send_id, Send.state.in_(states.sources(states.SEND, to)))
        .values(state=to, **values)
        .returning(Send.id)
    )
    if session.scalar(statement) is None:
        send = session.get(Send, send_id)
        if send is None:
            raise NotFound(f"There is no send with the id {send_id}.")
        raise Refused(f"Send {send_id} is {send.state} and cannot become {to}.")


def shift(session: Session, send_id: int, before: tuple[DeliveryState, ...], to: DeliveryState, **values: Any) -> None:  # noqa: ANN401 - columns of Delivery
    """Move all deliveries in ``before`` that may go there to ``to``, under a new epoch."""
    allowed = [state for state in states.sources(states.DELIVERY, to) if state in before]
    session.execute(
        update(Delivery)
        .where(in_order(send_id, Delivery.state.in_(allowed)))
        .values(state=to, epoch=Delivery.epoch + 1, lease_until=None, not_before=None, **values)
        .execution_options(synchronize_session=False)
    )


def pause(session: Session, send_id: int, *, problem: str = "") -> SendStatus:
    """Stop sending at once; nothing is lost. ``problem`` says why if no person asked for it."""
    move(session, send_id, SendState.PAUSED, problem=problem)
    shift(session, send_id, (DeliveryState.CLAIMED,), DeliveryState.PENDING)
    return status(session, send_id)


def resume(session: Session, send_id: int) -> SendStatus:
    """Go on where a pause stopped."""
    send = session.get(Send, send_id)
    if send is not None and send.state is not SendState.PAUSED:
        raise Refused(f"Send {send_id} is {send.state}, not paused.")
    move(session, send_id, SendState.SENDING, problem="")
    after_commit(session, partial(wake, "deliver", send_id))
    return status(session, send_id)


def cancel(session: Session, send_id: int) -> SendStatus:
    """Call off what has not been sent; what was accepted stays accepted.

    The issue counts as sent if the send had begun, else it is approved again.
    """
    send = session.get(Send, send_id)
    begun = send is not None and send.edition_id is not None
    # One that has begun is looked after until what is on the wire has an outcome.
    move(session, send_id, SendState.CANCELLED, finished_at=now(), unsettled=int(begun))
    if send is not None:
        _issue_follows(session, send.issue_id, IssueState.SENT if begun else IssueState.APPROVED)
    waiting = (DeliveryState.PENDING, DeliveryState.DEFERRED, DeliveryState.CLAIMED)
    shift(session, send_id, waiting, DeliveryState.SKIPPED, reply=CANCELLED, outcome_at=now())
    return status(session, send_id)


def retry(session: Session, send_id: int, *, uncertain: bool = False) -> SendStatus:
    """Send again to those who have not got it: the refused, and the deferred without further waiting.

    ``uncertain`` includes those who may have got it: they may get it twice. Readers
    who have left or were suppressed meanwhile are skipped when they are claimed.
    """
    send = session.get(Send, send_id, with_for_update=True, populate_existing=True)
    if send is not None and send.state not in (SendState.SENDING, SendState.PAUSED, SendState.COMPLETE):
        raise Refused(f"Send {send_id} is {send.state}; only a send that has begun can be retried.")
    if send is None or send.state is not SendState.SENDING:
        move(session, send_id, SendState.SENDING, problem="", finished_at=None)
    again = (DeliveryState.REFUSED, DeliveryState.DEFERRED, *((DeliveryState.UNCERTAIN,) if uncertain else ()))
    shift(session, send_id, again, DeliveryState.PENDING, attempt=0)
    after_commit(session, partial(wake, "deliver", send_id))
    return status(session, send_id)


def _issue_follows(session: Session, issue_id: int, to: IssueState) -> None:
    """Move the issue too, unless a person has moved it meanwhile."""
    with contextlib.suppress(Refused):
        issues.transition(session, issue_id, to)
