"""The alarm: the database is older than this machine remembers, so nobody knows who has got an issue.

Promise: once it is raised nothing is sent until a person says so: every send that
was under way is paused, every one that was due is missed, and each says why. One
restoration raises one alarm, however many machines remember: the first one notes
it in the database and the others see that. It opens its own transactions.
"""

from __future__ import annotations

import contextlib
import logging
import platform
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from newsletter import issues
from newsletter.db import Database, now
from newsletter.delivery.control import move, pause
from newsletter.delivery.models import Restoration, Send, SendState
from newsletter.delivery.remember import Known, Memory, last_restoration, new_mark, noticed_since, went_back
from newsletter.errors import Refused
from newsletter.issues import IssueState

log = logging.getLogger(__name__)

PROBLEM: Final = (
    "The database is older than this machine remembers: a backup seems to have been restored, or a failover "
    "lost its last commits. Readers may have got this issue although the ledger does not know it. Look who has got "
    "it (the relay's log tells; newsletter send evidence reads it), then resume."
)


def notice(database: Database, data_dir: Path) -> bool:
    """Raise the alarm if the database went back behind what this machine remembers; tell whether it did."""
    memory = Memory(data_dir)
    if memory.known is None:
        return False
    with database.read() as session:
        if not went_back(session, memory.known):
            return False
    raise_alarm(database, memory)
    return True


def raise_alarm(database: Database, memory: Memory) -> None:
    """Stop every send that has not ended, unless another machine did since; remember the database as it is now."""
    with database.transaction() as session:
        if memory.known is None or not noticed_since(session, memory.known):
            row = {"mark": new_mark(), "host": platform.node()[:120], "noticed_at": now()}
            session.execute(insert(Restoration).values(row))
            _stop_all(session)
            log.error("%s", PROBLEM)
        present = Known(0, "", 0, last_restoration(session))
    memory.keep(present)


def _stop_all(session: Session) -> None:
    session.execute(update(Send).where(Send.state == SendState.PAUSED).values(problem=PROBLEM))
    for send_id in session.scalars(select(Send.id).where(Send.state == SendState.SENDING).order_by(Send.id)).all():
        with contextlib.suppress(Refused):  # somebody else was a moment faster
            pause(session, send_id, problem=PROBLEM)
    due = select(Send.id, Send.issue_id).where(Send.state == SendState.SCHEDULED, Send.send_at <= now())
    for send_id, issue_id in session.execute(due.order_by(Send.id)).all():
        # It was due after the backup was made: it may have been sent, whole.
        with contextlib.suppress(Refused):
            move(session, send_id, SendState.MISSED, problem=PROBLEM)
            issues.transition(session, issue_id, IssueState.MISSED)
