"""Emptying the outbox.

Promise: a notice that was queued is accepted by a relay, or ends as ``refused``
with the reason. It is claimed by a conditional UPDATE under a lease, so that two
workers do not send it at once; a worker that dies in between leaves a lease that
expires, and the notice is sent again: a confirmation that comes twice is better
than one that never comes. Opens transactions of its own and holds none while a
relay is waited for.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import and_, delete, or_, select, update

from newsletter import publications
from newsletter.config import Settings
from newsletter.db import Database, later, now
from newsletter.delivery.transports.smtp import Relay, Reply, Timeouts, parse_all, send_one
from newsletter.errors import ConfigError, TransportError
from newsletter.kit import clock
from newsletter.notices.alarms import due_alarms, raise_alarms
from newsletter.notices.letters import Outgoing, Sender, message
from newsletter.notices.models import Notice, NoticeState

log = logging.getLogger(__name__)

AT_ONCE: Final = 8  # connections to the relay, each with a notice of its own
TIMEOUTS: Final = Timeouts(connect=30, greeting=60, command=60, data=60, body=300)
LEASE: Final = 900  # seconds; more than one attempt can take
BACK_OFF: Final = (60, 300, 900, 3_600, 3_600, 7_200, 14_400, 28_800)  # seconds between attempts: a day in all
KEPT: Final = dt.timedelta(days=30)  # finished notices, for whoever asks whether a mail went out


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this process may send now; the number of the attempt fences out a lease that has expired."""

    outgoing: Outgoing
    publication_id: int | None
    attempt: int


def send_due(database: Database, settings: Settings, *, stop: threading.Event | None = None) -> int:
    """Raise the alarms that are due and send notices until none is; return how many were accepted.

    Without a relay the notices wait and say so. ``stop`` ends it between batches.
    """
    with database.read() as session:
        alarms = due_alarms(session)
    if alarms:
        with database.transaction() as session:
            raise_alarms(session, alarms, base_url=settings.base_url)
    try:
        relays = parse_all(settings.smtp_url)
    except ConfigError as error:
        _explain(database, error.message)
        return 0
    accepted = 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notices") as threads:
        while not (stop and stop.is_set()) and (claimed := _claim(database)):
            accepted += sum(threads.map(partial(_send, database, settings, relays), claimed))
    return accepted


def _explain(database: Database, reason: str) -> None:
    """Write on every waiting notice why it waits."""
    with database.transaction() as session:
        waiting = update(Notice).where(Notice.state == NoticeState.DUE, Notice.reply != reason)
        session.execute(waiting.values(reply=reason))


def _claim(database: Database) -> list[Claimed]:
    """Take the oldest notices that are due, or whose sender died; drop the ones that are long finished."""
    due = or_(
        and_(Notice.state == NoticeState.DUE, Notice.not_before <= now()),
        and_(Notice.state == NoticeState.SENDING, Notice.lease_until < now()),
    )
    finished = Notice.state.in_((NoticeState.ACCEPTED, NoticeState.REFUSED))
    # A CTE: PostgreSQL could run a subquery that skips locked rows more than once, and take more of them.
    oldest = select(Notice.id).where(due).order_by(Notice.id).limit(AT_ONCE).with_for_update(skip_locked=True).cte()
    take = (
        update(Notice)
        .where(Notice.id.in_(select(oldest.c.id)), due)
        .values(state=NoticeState.SENDING, attempts=Notice.attempts + 1, lease_until=later(LEASE))
        .returning(Notice)
    )
    with database.transaction() as session:
        session.execute(delete(Notice).where(finished, Notice.not_before < clock.now() - KEPT))
        return [
            Claimed(
                Outgoing(row.id, row.kind, row.to_address, row.facts, row.created_at), row.publication_id, row.attempts
            )
            for row in session.scalars(take, execution_options={"populate_existing": True})
        ]


def _send(database: Database, settings: Settings, relays: tuple[Relay, ...], claimed: Claimed) -> bool:
    """Send one notice and record what came of it; return whether it was accepted."""
    notice = claimed.outgoing
    try:
        sender = _sender(database, settings, claimed.publication_id)
        reply = send_one(
            relays,
            mail_from=sender.return_path,
            rcpt_to=notice.to_address,
            message=message(notice, sender, settings),
            timeouts=TIMEOUTS,
        )
    except TransportError as error:  # also when the relay may have it: better twice than never
        _put_off(database, claimed, error.message)
        return False
    except Exception as error:  # whatever is wrong with this one must not stop the others
        log.exception("notice %s cannot be sent", notice.notice_id)
        _finish(database, claimed, NoticeState.REFUSED, f"It cannot be written: {error}")
        return False
    return _take_reply(database, claimed, reply)


def _take_reply(database: Database, claimed: Claimed, reply: Reply) -> bool:
    if reply.permanent:
        log.warning("notice %s was refused: %s", claimed.outgoing.notice_id, reply)
        _finish(database, claimed, NoticeState.REFUSED, str(reply))
    elif reply.code >= 400:  # noqa: PLR2004 - RFC 5321 4.2.1: not now
        _put_off(database, claimed, str(reply))
    else:
        _finish(database, claimed, NoticeState.ACCEPTED, str(reply))
        return True
    return False


def _sender(database: Database, settings: Settings, publication_id: int | None) -> Sender:
    if publication_id is None:
        return Sender.of(None, settings)
    with database.read() as session:
        return Sender.of(publications.by_id(session, publication_id), settings)


def _put_off(database: Database, claimed: Claimed, reason: str) -> None:
    """Try again later; after a day, no more."""
    log.info("notice %s waits: %s", claimed.outgoing.notice_id, reason)
    if claimed.attempt > len(BACK_OFF):
        _finish(database, claimed, NoticeState.REFUSED, f"Given up after {claimed.attempt} attempts: {reason}")
    else:
        again = later(BACK_OFF[claimed.attempt - 1])
        _record(database, claimed, state=NoticeState.DUE, not_before=again, lease_until=None, reply=reason)


def _finish(database: Database, claimed: Claimed, state: NoticeState, reply: str) -> None:
    """Close a notice and forget what it said: a link in it may still be good."""
    _record(database, claimed, state=state, lease_until=None, reply=reply, facts={}, finished_at=now())


def _record(database: Database, claimed: Claimed, **values: Any) -> None:  # noqa: ANN401 - columns of Notice
    """Write the outcome, unless the lease ran out and another process has the notice, or it was deleted."""
    with database.transaction() as session:
        session.execute(
            update(Notice)
            .where(
                Notice.id == claimed.outgoing.notice_id,
                Notice.state == NoticeState.SENDING,
                Notice.attempts == claimed.attempt,
            )
            .values(**values)
        )
