"""The one writer of a sending process: claims, intents and outcomes, gathered into commits.

Promise: a job is granted (may be written to the wire) only after its intent is
durable; every write is fenced by owner, epoch and expected state, and a row that
did not change means that the job belongs to somebody else now and is reported as
lost. While one commit runs the next one gathers, so nobody waits for a single
row. When the database goes away nothing is granted; what is to be recorded is
kept and written when it is back, under the same fence; if it comes back without
what it had confirmed, the ledger fails with ``WentBack``. It runs in a thread of
its own and is spoken to from the event loop; it decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from sqlalchemy import Connection

from newsletter.db import AWAY, Database
from newsletter.delivery import remember, statements
from newsletter.delivery.changes import INTENT, Change
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.remember import Memory
from newsletter.delivery.statements import Claimed, Ticket

log = logging.getLogger(__name__)

MOST_ROWS: Final = 2000  # in one commit
GATHER_SECONDS: Final = 0.01  # the longest wait for rows that make a commit worth its cost
LAST_TRIES: Final = 10.0  # seconds for which a closing ledger still tries to write
PAUSES: Final = (0.1, 0.25, 0.5, 1.0, 2.0)  # seconds between tries while the database is away


@dataclass(frozen=True, slots=True)
class _ClaimOrder:
    send_id: int
    after: int
    limit: int
    lanes: Sequence[int]
    answer: asyncio.Future[list[Claimed]]


@dataclass(slots=True)
class _Batch:
    """What one commit is to hold."""

    changes: list[tuple[Ticket, Change]]
    claims: list[_ClaimOrder]
    renewals: list[Ticket]
    alive: bool = False  # tell that the owner lives
    shown: int = 0  # how often it has told then
    renewed: list[Ticket] = field(default_factory=list)
    last: bool = False


def _nobody_asks(_tickets: Sequence[Ticket], _since: float) -> None:
    pass


class Ledger:
    """Writes for one owner.

    ``granted(granted, lost)`` is called on the event loop after each commit that
    held intents, ``renewed(tickets, since)`` after one that renewed leases (they count
    from ``since``, in monotonic seconds), ``failed(error)`` once if the ledger cannot go on.
    """

    def __init__(
        self,
        database: Database,
        owner: int,
        *,
        granted: Callable[[Sequence[Ticket], Sequence[Ticket]], None],
        failed: Callable[[BaseException], None],
        renewed: Callable[[Sequence[Ticket], float], None] = _nobody_asks,
        memory: Memory | None = None,
    ) -> None:
        self._database, self._owner, self._memory = database, owner, memory
        self._loop = asyncio.get_running_loop()
        self._granted, self._failed, self._renewed = granted, failed, renewed
        self._orders: SimpleQueue[tuple[Ticket, Change] | _ClaimOrder | list[Ticket] | None] = SimpleQueue()
        self._give_up_at = float("inf")
        self._connection: Connection | None = None
        self._written: tuple[Ticket, DeliveryState] | None = None  # a row as it was when its commit was confirmed
        self.commits = 0
        self.worth = 0  # rows for which a commit need not wait for more
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    # -- called on the event loop ---------------------------------------------

    def record(self, ticket: Ticket, change: Change) -> None:
        """Ask for an intent, or note what became of a delivery. Never two for one row at a time."""
        self._orders.put((ticket, change))

    def renew(self, tickets: list[Ticket]) -> None:
        """Renew the leases of what takes long, and tell that this owner is alive."""
        self._orders.put(tickets)

    async def claim(self, send_id: int, after: int, limit: int, lanes: Sequence[int] = ()) -> list[Claimed]:
        """Take at most ``limit`` due deliveries with a ``seq`` above ``after``, in order; of all lanes or of these."""
        order = _ClaimOrder(send_id, after, limit, lanes, self._loop.create_future())
        self._orders.put(order)
        return await order.answer

    def close(self) -> None:
        """Write all that was asked for, then stop; blocks until then, or for ``LAST_TRIES`` without a database."""
        self._give_up_at = time.monotonic() + LAST_TRIES
        self._orders.put(None)
        self._thread.join()

    # -- the thread ------------------------------------------------------------

    def _run(self) -> None:
        try:
            last = False
            while not last:
                batch = self._gather()
                self._commit(batch)
                last = batch.last
        except Exception as error:
            log.exception("the ledger cannot write; its claims will be taken over by others")
            self._tell(self._failed, error)
        finally:
            self._disconnect()

    def _gather(self) -> _Batch:
        """Wait for one order, then take all that is there."""
        batch = _Batch([], [], [])
        order = self._orders.get()
        began = time.monotonic()
        while True:
            match order:
                case None:
                    batch.last = True
                case _ClaimOrder():
                    batch.claims.append(order)
                case list():
                    batch.renewals += order
                    batch.alive = True
                case _:
                    batch.changes.append(order)
            if batch.last or len(batch.changes) >= MOST_ROWS:
                return batch
            try:
                order = self._orders.get(timeout=self._patience(batch, began))
            except Empty:
                return batch

    def _patience(self, batch: _Batch, began: float) -> float:
        """Return how long to wait for more: a commit costs as much as many rows, but whoever claims waits for it."""
        if batch.claims or len(batch.changes) >= self.worth:
            return 0.0
        return max(began + GATHER_SECONDS - time.monotonic(), 0.0)

    def _commit(self, batch: _Batch) -> None:
        """Write a batch, however long the database is away."""
        tries = 0
        while True:
            began = time.monotonic()
            try:
                with self._transaction() as connection:
                    granted, lost = self._write(connection, batch)
                    claimed = [self._claim(connection, order) for order in batch.claims]
            except AWAY as error:
                self._disconnect()
                if time.monotonic() > self._give_up_at:
                    raise
                log.warning("the ledger waits for the database: %s", error.orig)
                time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                break
        self.commits += 1
        if self._memory and batch.shown:
            self._memory.confirm(batch.shown)
        if batch.changes and not lost:
            ticket, change = batch.changes[-1]
            self._written = (ticket, change.to)
        if batch.renewed:
            self._tell(self._renewed, batch.renewed, began)
        if granted or lost:
            self._tell(self._granted, granted, lost)
        for order, rows in zip(batch.claims, claimed, strict=True):
            self._tell(_settle, order.answer, rows)

    def _write(self, connection: Connection, batch: _Batch) -> tuple[list[Ticket], list[Ticket]]:
        """Apply the changes; return which intents hold and which do not."""
        if batch.alive:
            self._show_life(connection, batch)
            batch.renewed = statements.renew(connection, self._owner, batch.renewals)
        if not batch.changes:
            return [], []
        written = statements.write(connection, self._owner, batch.changes)
        intents = [ticket for ticket, change in batch.changes if change is INTENT]
        if written == len(batch.changes):
            return intents, []
        held = statements.held(connection, self._owner, intents, DeliveryState.SENDING)
        log.info("%d of %d rows belong to somebody else now", len(batch.changes) - written, len(batch.changes))
        return held, [ticket for ticket in intents if ticket not in held]

    def _show_life(self, connection: Connection, batch: _Batch) -> None:
        if self._memory:
            shown = statements.show_life(connection, self._owner, self._memory.mark)
            batch.shown = self._memory.grown(shown)

    def _claim(self, connection: Connection, order: _ClaimOrder) -> list[Claimed]:
        return statements.claim(connection, self._owner, order.send_id, order.after, order.limit, order.lanes)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Yield the thread's own connection; what is written is durable when the block ends."""
        again = self._connection is None and self._written
        if self._connection is None:
            self._connection = _connect(self._database)
        with self._connection.begin():
            if again:
                remember.check(self._connection, *again)
            yield self._connection

    def _disconnect(self) -> None:
        """Close the connection for good: its settings must not come back through the pool."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _tell(self, callback: Callable[..., None], *facts: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to tell
            self._loop.call_soon_threadsafe(partial(callback, *facts))


# Rows are looked up by their key. The statistics are older than any claim and would suggest to read the whole table.
_POSTGRESQL: Final = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
# An intent must survive a power cut; WAL with NORMAL may lose the last commits.
_SQLITE: Final = "PRAGMA synchronous = FULL"


def _connect(database: Database) -> Connection:
    """Open the writer's connection; on PostgreSQL each statement is a transaction, one round trip instead of three."""
    postgresql = database.dialect == "postgresql"
    options = {"isolation_level": "AUTOCOMMIT"} if postgresql else {"sqlite_begin": "IMMEDIATE"}
    connection = database.engine.connect().execution_options(**options)
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute(_POSTGRESQL if postgresql else _SQLITE)
    return connection


def _settle(future: asyncio.Future[list[Claimed]], rows: list[Claimed]) -> None:
    if not future.done():
        future.set_result(rows)
