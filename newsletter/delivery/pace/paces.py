"""The paces in the database, where all workers share them: read, take turns, slow, pause, probe, resume.

Promise: each change is one short transaction on one locked row and comes from the
arithmetic of ``limits``, with the database's time; what two workers notice at once
happens once. Functions that take a ``Database`` open that transaction themselves,
since sending waits for the network meanwhile; those for people take a session.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import partial
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.db import Database, after_commit, later, now
from newsletter.delivery.locking import in_order
from newsletter.delivery.models import Delivery, DeliveryState, Pace, PaceState, Send, SenderProcess, SendState
from newsletter.delivery.pace import limits
from newsletter.delivery.pace.limits import PaceRow
from newsletter.delivery.pace.providers import BY_SLUG, Provider
from newsletter.delivery.transports.relays import Relay
from newsletter.errors import Invalid, NotFound
from newsletter.kit.wake import wake

log = logging.getLogger(__name__)

MAX_REASON: Final = 500
MOST: Final = 10_000_000  # a minute
ALIVE_SECONDS: Final = 45  # a process that sends says every 15 seconds that it lives
PERMANENT: Final = 500  # RFC 5321 4.2.1: a deferred delivery with such a code was refused for our fault

_COLUMNS: Final = [getattr(Pace, field.name) for field in fields(PaceRow)]


def read(session: Session) -> tuple[dict[str, PaceRow], dt.datetime]:
    """Return every pace that has a row, by name, and the database's present instant."""
    rows = session.execute(select(*_COLUMNS, now())).all()
    moment = rows[0][-1] if rows else session.scalars(select(now())).one()
    return {row[0]: PaceRow(*row[:-1]) for row in rows}, moment


def every_pace(session: Session) -> list[PaceRow]:
    """Return the paces of all mailbox providers, and of the relays that have one."""
    found, _ = read(session)
    providers = [found.pop(slug, PaceRow(slug)) for slug in BY_SLUG]
    return providers + [found[name] for name in sorted(found)]


def prepare(database: Database, relays: Iterable[Relay], warming_since: dt.date | None) -> None:
    """Write down what the settings say of paces: the relays' rates and the warm-up; usually nothing changes."""
    wanted: dict[str, dict[str, Any]] = {relay.pace: {"per_minute": relay.rate or None} for relay in relays}
    wanted |= {slug: {"warming_since": warming_since} for slug in BY_SLUG}
    with database.read() as session:
        found, _ = read(session)
    changed = {
        name: values
        for name, values in wanted.items()
        if any(getattr(found.get(name, PaceRow(name)), column) != value for column, value in values.items())
    }
    for name, values in changed.items():
        with database.transaction() as session:
            _locked(session, name)
            _write(session, name, values)


def take(database: Database, name: str, want: int) -> tuple[int, PaceRow]:
    """Reserve turns for up to ``want`` deliveries; return how many, and the pace as it is then."""
    given = 0

    def granting(row: PaceRow, moment: dt.datetime) -> dict[str, Any]:
        nonlocal given
        granted = limits.grant(row, want, moment)
        given = granted.count
        return granted.values

    row = _change(database, name, granting)
    return given, row


def give_back(database: Database, name: str, count: int) -> None:
    """Return turns that nobody could use."""
    _change(database, name, lambda row, moment: limits.refund(row, count, moment))


def slow(database: Database, name: str, observed: float, reason: str) -> None:
    """Halve a pace because the other side asked for less; at most once in ten seconds over all workers.

    ``observed`` is this process's speed a minute.
    """
    with database.transaction() as session:
        row, moment = _locked(session, name)
        values = limits.slower(row, observed * _senders(session), moment, reason[:MAX_REASON])
        if values:
            _write(session, name, values)
            log.info("%s asks for less at a time: %s", name, reason)


def pause(database: Database, name: str, observed: float, reason: str) -> None:
    """Let a pace rest because the other side refuses us."""
    with database.transaction() as session:
        row, moment = _locked(session, name)
        values = limits.paused(row, observed * _senders(session), moment, reason[:MAX_REASON])
        if values:
            _write(session, name, values)
            log.warning("%s refuses the sender and is paused: %s", name, reason)


def reopen(database: Database, name: str) -> None:
    """Let a paused pace flow again, slowly: its probe was accepted."""
    with database.transaction() as session:
        row, moment = _locked(session, name)
        values = limits.reopened(row, moment)
        if values:
            _write(session, name, values)
            _due_again(session, name)


def resume_pace(session: Session, name: str) -> PaceRow:
    """Lift what replies have done to a pace: a person says that it is mended. ``NotFound`` for an unknown name."""
    _must_exist(session, name)
    row, _ = _locked(session, name)
    _write(session, name, limits.released())
    if row.state is PaceState.PAUSED:
        _due_again(session, name)
    return _locked(session, name)[0]


def set_pace(session: Session, name: str, per_minute: int | None) -> PaceRow:
    """Limit a mailbox provider to so many deliveries a minute, over all workers; None: no limit."""
    if name not in BY_SLUG:
        raise NotFound(f"There is no mailbox provider “{name}”; there are {', '.join(BY_SLUG)}.")
    if per_minute is not None and not 1 <= per_minute <= MOST:
        raise Invalid(f"A pace must be a number from 1 to {MOST:,} a minute.", field="per_minute")
    _locked(session, name)
    _write(session, name, {"per_minute": per_minute, "next_free": None})
    return _locked(session, name)[0]


def _senders(session: Session) -> int:
    """Return how many processes send now: each knows its own speed only."""
    alive = (SenderProcess.stopped_at.is_(None), SenderProcess.seen_at > later(-ALIVE_SECONDS))
    return max(session.scalars(select(func.count()).select_from(SenderProcess).where(*alive)).one(), 1)


def _must_exist(session: Session, name: str) -> None:
    if name not in BY_SLUG and session.get(Pace, name) is None:
        raise NotFound(f"There is no pace “{name}”; there are {', '.join(row.name for row in every_pace(session))}.")


def _change(database: Database, name: str, reckon: Callable[[PaceRow, dt.datetime], dict[str, Any]]) -> PaceRow:
    """Change one pace by what ``reckon`` makes of it; return it as it is then."""
    with database.transaction() as session:
        row, moment = _locked(session, name)
        values = reckon(row, moment)
        if not values:
            return row
        _write(session, name, values)
        return _locked(session, name)[0]


def _locked(session: Session, name: str) -> tuple[PaceRow, dt.datetime]:
    """Return a pace that nobody else changes until the transaction ends, made if there was none, and the instant."""
    statement = select(*_COLUMNS, now()).where(Pace.name == name).with_for_update()
    found = session.execute(statement).one_or_none()
    if found is None:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(Pace).values(name=name).on_conflict_do_nothing())
        found = session.execute(statement).one()
    return PaceRow(*found[:-1]), found[-1]


def _write(session: Session, name: str, values: dict[str, Any]) -> None:
    session.execute(update(Pace).where(Pace.name == name).values(values).execution_options(synchronize_session=False))


def _due_again(session: Session, name: str) -> None:
    """Whoever was deferred for our fault is due at once: nobody waits out a back-off that was not the reader's."""
    after_commit(session, partial(wake, "deliver"))
    lane = BY_SLUG.get(name)
    if lane is None:
        return
    running = session.scalars(select(Send.id).where(Send.state.in_((SendState.SENDING, SendState.PAUSED)))).all()
    for send_id in running:
        _hurry(session, send_id, lane)


def _hurry(session: Session, send_id: int, lane: Provider) -> None:
    ours = (Delivery.lane == lane, Delivery.state == DeliveryState.DEFERRED, Delivery.code >= PERMANENT)
    session.execute(
        update(Delivery)
        .where(in_order(send_id, *ours))
        .values(not_before=None)
        .execution_options(synchronize_session=False)
    )
