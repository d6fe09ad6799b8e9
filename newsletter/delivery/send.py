"""The sender's event loop: from claimed job to intent, to the wire, to an outcome in the ledger.

Promise: nothing is written to a relay before its intent is durable; at most two
deliveries per open connection are between intent and outcome, one on the wire and
one ahead; when the stop comes, what is on the wire is finished, and everything
else goes back to be claimed by others, within ``drain_seconds``.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.changes import INTENT, RELEASE_INTENT, Change, Patience, of_outcome, unfit
from newsletter.delivery.control import pause
from newsletter.delivery.frames import Frame, Job
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.lines import AHEAD, Lines
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.pace.pacer import Pacer
from newsletter.delivery.personalize import Mail
from newsletter.delivery.remember import Memory
from newsletter.delivery.statements import Ticket
from newsletter.delivery.supply import LARGEST, Supply
from newsletter.delivery.transports.smtp import Outcome, Relay, Timeouts
from newsletter.kit.wake import wake

TICK_SECONDS: Final = 0.1
RENEW_SECONDS: Final = 10.0
ABSORB_SECONDS: Final = 5.0
WORTH: Final = 4  # a commit does not wait when this part of what may be in hand is in it
PERMANENT: Final = 500  # reply codes from here on get the same answer again


@dataclass(frozen=True, slots=True)
class Options:
    """How patiently and how carefully a run sends."""

    patience: Patience = field(default_factory=Patience)
    timeouts: Timeouts = field(default_factory=Timeouts)
    idle_seconds: float = 10.0  # after which a connection without work is closed
    drain_seconds: float = 15.0  # from the stop until what is on the wire is cut
    brake: int = 50  # refusals in a row, without one acceptance, that pause a send


class Sender:
    """One run's state on the event loop."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        relays: Sequence[Relay],
        owner: int,
        memory: Memory,
        *,
        options: Options,
        send_id: int | None,
    ) -> None:
        self.counts = dict.fromkeys(DeliveryState, 0)
        self.problem = ""
        self.failure: BaseException | None = None
        self._database, self._options = database, options
        self._ledger = Ledger(
            database, owner, granted=self._granted, renewed=self._renewed, failed=self._fail, memory=memory
        )
        self._pacer = Pacer(database, relays)
        self.supply = Supply(database, settings, self._ledger, self._pacer, send_id=send_id, stock=self._advance)
        self._lines: Lines[Job] = Lines(
            relays,
            options.timeouts,
            self._pacer,
            source=self._next,
            may_go=Job.fresh,
            give_back=self._put_back,
            settle=self._settle,
            changed=self._advance,
            failed=self._fail,
        )
        self._asked: dict[Ticket, tuple[Job, Mail]] = {}  # intent on its way to the ledger
        self._ready: deque[tuple[Job, Mail]] = deque()  # intent durable
        self._wire: set[Job] = set()
        self._idle: deque[tuple[asyncio.Future[bool], float]] = deque()  # lines without work, and since when
        self._rest = asyncio.Event()
        self._stopped_at = float("inf")  # when the stop came, in monotonic seconds
        self._overdue = False  # the time for finishing what is on the wire is over
        self.supply.smallest = min(AHEAD * self._lines.most, LARGEST)

    async def run(self, stop: threading.Event) -> None:
        """Send until nothing is due, the stop comes, or no relay can be reached."""
        asyncio.get_running_loop().set_exception_handler(self._surprised)
        await self._pacer.look()
        supply, paces = asyncio.create_task(self.supply.run()), asyncio.create_task(self._pacer.watch())
        clock = _Clock()
        try:
            while not self._rest.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._rest.wait()
                self._tick(stop, clock)
        finally:
            paces.cancel()
            await self._end(supply)

    def _tick(self, stop: threading.Event, clock: _Clock) -> None:
        moment = time.monotonic()
        if (stop.is_set() or self.problem) and self._stopped_at > moment:
            self._stop(moment)
        if moment > self._stopped_at + self._options.drain_seconds:
            self._lines.kill("the sender had to stop")
            self._overdue = True
        self._let_go(moment - self._options.idle_seconds)
        if clock.passed("rate", 1.0):
            self.supply.rate = clock.rate(sum(self.counts.values()))
        if clock.passed("renew", RENEW_SECONDS):
            self._ledger.renew([job.ticket for job in self._in_hand()])
        if clock.passed("absorb", ABSORB_SECONDS):
            self._announce_refusals()
        self._advance()

    async def _end(self, supply: asyncio.Task[None]) -> None:
        self._let_go(float("inf"))
        await self._lines.closed()
        supply.cancel()  # it has ended, unless it waits for a database that is away
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await supply
            except Exception as error:  # noqa: BLE001 - raised again by the caller, after the ledger is closed
                self.failure = self.failure or error
        await asyncio.to_thread(self._ledger.close)
        await self._pacer.close()
        self._announce_refusals()
        await asyncio.to_thread(self.supply.close)

    # -- work comes in ---------------------------------------------------------

    def _advance(self) -> None:
        """Ask for as many intents as the open connections may have, and for connections if jobs wait."""
        backlog = self.supply.backlog
        room = AHEAD * self._lines.open - self._lines.withheld - len(self._asked) - len(self._ready) - len(self._wire)
        while backlog and room > 0:
            room -= self._ask(backlog.popleft())
        self._ledger.worth = AHEAD * self._lines.open // WORTH
        waiting = len(backlog) + len(self._ready)
        if waiting > len(self._idle):
            self._lines.want(waiting - len(self._idle))
        if len(backlog) <= self.supply.batch // 2:
            self.supply.low.set()
        in_hand = waiting + len(self._asked) + len(self._wire)
        if in_hand and not self._lines.open:
            self.problem = self.problem or self._lines.problem
        if (self.supply.ended and not in_hand) or self.failure or (self._overdue and not self._wire):
            self._rest.set()

    def _ask(self, job: Job) -> bool:
        """Make the message and ask for its intent; a message that cannot be made is refused, for this reader only."""
        try:
            mail = job.frame.personalizers[job.edition_id].mail(job.reader)
        except ValueError as error:
            change = unfit(str(error))
            self._ledger.record(job.ticket, change)
            self._count(job.frame, change)
            return False
        job.since = time.monotonic()
        self._asked[job.ticket] = (job, mail)
        self._ledger.record(job.ticket, INTENT)
        return True

    def _granted(self, granted: Sequence[Ticket], lost: Sequence[Ticket]) -> None:
        for ticket in lost:
            del self._asked[ticket]
        for ticket in granted:
            self._ready.append(self._asked.pop(ticket))
        if self.supply.stopping:
            self._give_back()
        for _ in range(min(len(self._ready), len(self._idle))):
            self._idle.popleft()[0].set_result(False)
        self._advance()

    async def _next(self) -> tuple[Job, Mail] | None:
        """Give a line its next message; None if it waited in vain or everything is over."""
        while True:
            while self._ready:
                job, mail = self._ready.popleft()
                self._wire.add(job)
                if (job.seen_lately() or await self.supply.wanted(job)) and job.fresh():
                    return job, mail
                self._wire.discard(job)
                self._ledger.record(job.ticket, RELEASE_INTENT)  # who is not wanted is skipped by the next claim
            if self._rest.is_set() or self.supply.stopping:
                return None
            go_home: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._idle.append((go_home, time.monotonic()))
            if await go_home:
                return None

    def _put_back(self, job: Job, mail: Mail) -> None:
        self._wire.discard(job)
        self._ready.appendleft((job, mail))

    def _let_go(self, since: float) -> None:
        """Send home the lines that have been without work since ``since`` or longer."""
        while self._idle and self._idle[0][1] <= since:
            self._idle.popleft()[0].set_result(True)

    # -- outcomes go out -------------------------------------------------------

    def _settle(self, job: Job, relay: str, outcome: Outcome) -> None:
        self._wire.discard(job)
        blamed = self._pacer.settled(job.lane, job.reader.address, relay, outcome)
        change = of_outcome(
            outcome,
            attempt=job.attempt,
            relay=relay,
            window_left=job.frame.patience_left(),
            patience=self._options.patience,
        )
        self._ledger.record(job.ticket, change)
        self._count(job.frame, change, blamed=blamed)
        self._advance()

    def _count(self, frame: Frame, change: Change, *, blamed: bool = False) -> None:
        self.counts[change.to] += 1
        if change.to is DeliveryState.ACCEPTED:
            frame.in_a_row = 0
            return
        frame.refused += change.to is DeliveryState.REFUSED
        passing = blamed or (change.command in ("RCPT", "DATA") and not _permanent(change))
        if change.to is DeliveryState.DEFERRED and passing:
            return  # about this reader, for this minute, or a matter between us and one provider
        frame.in_a_row += 1
        if frame.in_a_row == self._options.brake:
            words = f"{change.code or ''} {change.reply or ''}".strip()
            self._brake(frame, change, f"{frame.in_a_row} deliveries in a row failed, the last with: {words}")

    def _brake(self, frame: Frame, change: Change, problem: str) -> None:
        """Stop spoiling an issue for everybody: end the run if it may pass by itself, else wait for a person."""
        if change.to is DeliveryState.DEFERRED and not _permanent(change):
            self.problem = problem
        else:
            self.supply.aside(partial(_pause, self._database, frame.send_id, problem))

    def _announce_refusals(self) -> None:
        for frame in self.supply.frames.values():
            if frame.refused:
                frame.refused = 0
                self.supply.aside(partial(wake, "absorb", frame.send_id))

    # -- the end ---------------------------------------------------------------

    def _stop(self, moment: float) -> None:
        self._stopped_at = moment
        self.supply.stop()
        self._give_back()
        self._let_go(float("inf"))

    def _give_back(self) -> None:
        """Nothing of these was written: they are pending again."""
        while self._ready:
            self._ledger.record(self._ready.popleft()[0].ticket, RELEASE_INTENT)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._stop(time.monotonic())  # what has not left goes back, if the ledger can still write
        self._lines.kill("the ledger cannot be written")
        self._rest.set()

    def _surprised(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody caught ends the run: a run that goes on without a part of itself might never end."""
        self._fail(context.get("exception") or RuntimeError(context["message"]))

    def _in_hand(self) -> list[Job]:
        return [*self.supply.backlog, *(job for job, _ in (*self._asked.values(), *self._ready)), *self._wire]

    def _renewed(self, tickets: Sequence[Ticket], since: float) -> None:
        held = set(tickets)
        for job in self._in_hand():
            if job.ticket in held:
                job.since = max(job.since, since)


def _permanent(change: Change) -> bool:
    return change.code is not None and change.code >= PERMANENT


def _pause(database: Database, send_id: int, problem: str) -> None:
    with database.transaction() as session:
        pause(session, send_id, problem=problem)


class _Clock:
    """Tells when something is due again, and how fast a count grows."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._count, self._counted_at = 0, time.monotonic()

    def passed(self, name: str, seconds: float) -> bool:
        """Whether ``seconds`` have passed since the answer was yes, or since the first question."""
        moment = time.monotonic()
        if moment - self._last.setdefault(name, moment) < seconds:
            return False
        self._last[name] = moment
        return True

    def rate(self, count: int) -> float:
        """Return by how much ``count`` grew a second since the last question."""
        moment = time.monotonic()
        grown, self._count = count - self._count, count
        elapsed, self._counted_at = moment - self._counted_at, moment
        return grown / elapsed
