"""One run: claim and send, until nothing is due here and now.

Promise: ``run`` returns when no running send has anything due, when it is told to
stop, or when no relay can be reached, and leaves nothing claimed; any number of
runs, in any number of processes, share the work row by row. It works in any
thread, opens its own transactions, and waits for the network: never call it
inside a transaction. A process should have one run at a time.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import uvloop
from sqlalchemy import insert, select, update

from newsletter.config import Settings
from newsletter.db import Database, now
from newsletter.delivery import statements
from newsletter.delivery.models import DeliveryState, Send, SenderProcess, SendState
from newsletter.delivery.pace.paces import prepare
from newsletter.delivery.plan import begin_due
from newsletter.delivery.recover import finish
from newsletter.delivery.remember import Known, Memory, WentBack, last_restoration, new_mark
from newsletter.delivery.restoration import PROBLEM, raise_alarm
from newsletter.delivery.send import Options, Sender
from newsletter.delivery.transports.relays import Relay, parse_all
from newsletter.errors import ConfigError
from newsletter.kit.processes import identity

log = logging.getLogger(__name__)

DEFAULTS: Final = Options()
BETWEEN_COLLECTIONS: Final = 50_000  # objects made and kept since the last look of the garbage collector


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run did: attempts by outcome. ``problem`` is empty unless something stopped it early."""

    sends: tuple[int, ...] = ()
    accepted: int = 0
    deferred: int = 0
    refused: int = 0
    uncertain: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: str = ""


def run(
    database: Database,
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    send_id: int | None = None,
    options: Options = DEFAULTS,
) -> RunSummary:
    """Begin what is due, then send until nothing is due or ``stop`` is set; only ``send_id`` if given.

    A database that went back in time (a restored backup) pauses every send instead; see ``restoration``.
    After ``stop`` it returns within 30 s: what is on the wire is finished, the rest is given back.
    """
    begin_due(database, settings)
    with database.read() as session:
        running = select(Send.id).where(Send.state == SendState.SENDING)
        found = session.scalars(running if send_id is None else running.where(Send.id == send_id)).all()
    if not found:
        return RunSummary()
    try:
        relays = parse_all(settings.smtp_url)
    except ConfigError as error:
        _note(database, found, error.message)
        return RunSummary(tuple(found), problem=error.message)
    return _run(database, settings, relays, stop or threading.Event(), send_id, options)


def _run(
    database: Database,
    settings: Settings,
    relays: Sequence[Relay],
    stop: threading.Event,
    send_id: int | None,
    options: Options,
) -> RunSummary:
    began = time.monotonic()
    prepare(database, relays, settings.warm_up_since)
    memory = Memory(settings.data_dir)
    owner = _register(database, memory)
    try:
        make = partial(Sender, database, settings, relays, owner, memory)
        with _rare_collections():
            sender = uvloop.run(_send(make, stop, send_id, options))
        if isinstance(sender.failure, WentBack):
            raise_alarm(database, memory)  # before this run signs out: it would remember the older database
    finally:
        _unregister(database, owner, memory)
    sends = tuple(sender.supply.frames)
    if isinstance(sender.failure, WentBack):
        return RunSummary(sends, seconds=time.monotonic() - began, problem=PROBLEM)
    _note(database, sends, sender.problem)
    for one in sends:
        finish(database, one)
    if sender.failure:
        raise sender.failure
    return RunSummary(
        sends,
        accepted=sender.counts[DeliveryState.ACCEPTED],
        deferred=sender.counts[DeliveryState.DEFERRED],
        refused=sender.counts[DeliveryState.REFUSED],
        uncertain=sender.counts[DeliveryState.UNCERTAIN],
        skipped=sender.supply.skipped,
        seconds=time.monotonic() - began,
        problem=sender.problem,
    )


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cyclic garbage seldom: a send makes next to none, and each look reads every object of the process."""
    usual = gc.get_threshold()
    gc.set_threshold(BETWEEN_COLLECTIONS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


async def _send(make: partial[Sender], stop: threading.Event, send_id: int | None, options: Options) -> Sender:
    sender = make(options=options, send_id=send_id)
    await sender.run(stop)
    return sender


def _register(database: Database, memory: Memory) -> int:
    """Enter this run among the owners of claims, and remember it."""
    mark = new_mark()
    row = {"host": platform.node()[:120], "pid": os.getpid(), "process": identity(), "mark": mark}
    with database.transaction() as session:
        entered = insert(SenderProcess).values(started_at=now(), seen_at=now(), renewals=0, **row)
        owner = session.scalars(entered.returning(SenderProcess.id)).one()
        known = Known(owner, mark, 0, last_restoration(session))
    memory.keep(known)
    return owner


def _unregister(database: Database, owner: int, memory: Memory) -> None:
    """Say that this run has ended: its last sign of life."""
    with database.connection() as connection:
        shown = statements.show_life(connection, owner, memory.mark)
        mine = (SenderProcess.id == owner, SenderProcess.mark == memory.mark)
        connection.execute(update(SenderProcess).where(*mine).values(stopped_at=now()))
    with contextlib.suppress(WentBack):  # what is remembered will show it
        memory.confirm(memory.grown(shown))


def _note(database: Database, sends: Sequence[int], problem: str) -> None:
    """Tell the editor what stopped these sends, or that nothing does any more."""
    if problem:
        log.warning("sending stopped: %s", problem)
    with database.transaction() as session:
        session.execute(
            update(Send)
            .where(Send.id.in_(sends), Send.state == SendState.SENDING, Send.problem != problem)
            .values(problem=problem)
        )
