"""SELECTs of the notices room, as typed rows.

Promise: reads only.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.notices.models import Notice, NoticeState


@dataclass(frozen=True, slots=True)
class Backlog:
    """The notices that wait: how many, since when, and what the oldest waits for (empty: its turn)."""

    waiting: int
    since: dt.datetime | None
    reason: str


def backlog(session: Session) -> Backlog:
    """Return what waits in the outbox."""
    waiting = Notice.state.in_((NoticeState.DUE, NoticeState.SENDING))
    count = session.scalar(select(func.count()).select_from(Notice).where(waiting)) or 0
    oldest = session.scalars(select(Notice).where(waiting).order_by(Notice.id).limit(1)).first()
    return Backlog(count, oldest.created_at if oldest else None, oldest.reply if oldest else "")
