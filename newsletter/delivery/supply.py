"""The supply of jobs: claims them a fraction of a second's worth at a time, from every running send in turn.

Promise: a send that begins while others run joins within seconds; a send is
``done`` only after a whole pass over its ledger found nothing due; what a pace holds
is claimed on its own cursor and only as its turns come; what was claimed when the
stop came is given back; ``wanted`` keeps from the wire whoever left more than a
second ago, however slow the relay is. It runs as one coroutine; SQL runs in the
ledger's thread (claims) and in a thread of its own (reading).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from newsletter import audience
from newsletter.config import Settings
from newsletter.db import AWAY, Database
from newsletter.delivery.changes import RELEASE_CLAIM, skipped
from newsletter.delivery.claim import Loaded, load
from newsletter.delivery.frames import Cursor, Frame, Job, running
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.pace.pacer import LANES, Pacer
from newsletter.delivery.statements import Claimed, Ticket

log = logging.getLogger(__name__)

AWAY_SECONDS: Final = 1.0  # between tries while the database is away
LOOK_SECONDS: Final = 5.0  # between looks for sends that have begun
SMALLEST: Final = 20
CLAIM_SECONDS: Final = 1 / 3  # of work in one claim: half as much again waits at most, and stays fresh
LARGEST: Final = 500  # rows in one claim: more would keep intents waiting behind it

Result = TypeVar("Result")


class Supply:
    """Fills ``backlog`` while it is short; ``stock`` is called whenever it grew, or when the supply ends."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        ledger: Ledger,
        pacer: Pacer,
        *,
        send_id: int | None,
        stock: Callable[[], None],
    ) -> None:
        self.backlog: deque[Job] = deque()
        self.frames: dict[int, Frame] = {}
        self.skipped = 0
        self.ended = False
        self.stopping = False
        self.smallest = SMALLEST  # as many as the connections can have in hand
        self.rate = 0.0  # deliveries a second lately, set from outside
        self.low = asyncio.Event()  # the backlog runs short
        self._database, self._settings, self._ledger, self._pacer = database, settings, ledger, pacer
        pacer.closed = self.drop
        self._free = pacer.free  # lanes that nothing held at the last round
        self._rounds = 0
        self._send_id, self._stock = send_id, stock
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="supply")

    @property
    def batch(self) -> int:
        """How many deliveries one claim takes now."""
        return min(max(int(self.rate * CLAIM_SECONDS), self.smallest), LARGEST)

    async def run(self) -> None:
        """Claim until nothing is due or ``stop`` was called."""
        looked_at = float("-inf")
        try:
            while not self.stopping:
                if time.monotonic() - looked_at > LOOK_SECONDS:
                    await self._look()
                    looked_at = time.monotonic()
                places = self._places()
                if not places:
                    break
                claimed = [await self._fill(frame, cursor) for frame, cursor in places]
                if any(claimed):
                    await self._until_low()
                else:  # nothing but what waits for its turn
                    await asyncio.sleep(self._pacer.wait())
        finally:
            self.ended = True
            self._stock()

    def stop(self) -> None:
        """Claim no more; give back what nobody asked an intent for."""
        self.stopping = True
        while self.backlog:
            self._ledger.record(self.backlog.popleft().ticket, RELEASE_CLAIM)
        self.low.set()

    def drop(self, lane: int) -> None:
        """Give back what is claimed and not begun of a lane that was paused."""
        dropped = [job for job in self.backlog if job.lane == lane]
        for job in dropped:
            self.backlog.remove(job)
            self._ledger.record(job.ticket, RELEASE_CLAIM)

    def close(self) -> None:
        """Wait for the reading thread."""
        self._threads.shutdown()

    def aside(self, work: Callable[[], None]) -> None:
        """Run something that may block beside the loop; nobody waits for it, a failure is a log line."""
        self._threads.submit(_logged, work)

    async def wanted(self, job: Job) -> bool:
        """Look again whether the reader may be mailed: the last look can be long ago, since relays can be slow."""
        publication_id, reader_id = job.frame.letterhead.publication_id, job.reader.subscriber_id
        try:
            reasons = await self._read(lambda session: audience.ineligible(session, publication_id, [reader_id]))
        except AWAY:  # at the stop
            return False
        job.checked = time.monotonic()
        return not reasons

    async def _read(self, work: Callable[[Session], Result]) -> Result:
        """Read beside the loop, as soon as the database is there."""

        def reading() -> Result:
            with self._database.read() as session:
                return work(session)

        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, reading)
            except AWAY as error:
                if self.stopping:
                    raise
                log.warning("the supply waits for the database: %s", error.orig)
                await asyncio.sleep(AWAY_SECONDS)

    async def _until_low(self) -> None:
        while len(self.backlog) > self.batch // 2 and not self.stopping:
            self.low.clear()
            await self.low.wait()

    async def _look(self) -> None:
        """Find the sends that have begun since, and look again at those that had nothing due."""
        known = set(self.frames)
        for frame in self.frames.values():
            for cursor in frame.cursors.values():
                cursor.look()
        for frame in await self._read(lambda session: running(session, self._settings, known, self._send_id)):
            self.frames[frame.send_id] = frame

    def _places(self) -> list[tuple[Frame, Cursor]]:
        """Return where to claim in this round; who comes first takes turns, since turns are few."""
        freed, self._free = self._pacer.free - self._free, self._pacer.free
        lanes = ([None] if self._free else []) + self._pacer.open()
        places = []
        for frame in self.frames.values():
            for lane in freed:
                frame.release(lane)
            places += [(frame, cursor) for cursor in map(frame.cursor, lanes) if not cursor.done]
        self._rounds += 1
        first = self._rounds % len(places) if places else 0
        return places[first:] + places[:first]

    async def _fill(self, frame: Frame, cursor: Cursor) -> bool:
        """Claim one batch at a place of a send and load it; False if it is not its turn."""
        limit, lanes = self.batch, tuple(self._pacer.free)
        if cursor.lane is not None:
            limit, lanes = await self._pacer.take(cursor.lane, limit), (cursor.lane,)
        elif len(lanes) == len(LANES):
            lanes = ()
        if not limit:
            return False
        claimed = await self._ledger.claim(frame.send_id, cursor.after, limit, lanes)
        cursor.passed(claimed, limit)
        if cursor.lane is not None and len(claimed) < limit:
            await self._pacer.give_back(cursor.lane, limit - len(claimed))
        if claimed and self.stopping:
            self._give_back(frame, claimed)
        elif claimed:
            self._take(await self._read(lambda session: load(session, frame, claimed)))
        return True

    def _take(self, loaded: Loaded) -> None:
        for ticket, reason in loaded.skipped:
            self._ledger.record(ticket, skipped(reason))
        self.skipped += len(loaded.skipped)
        self.backlog += loaded.jobs
        if self.stopping:
            self.stop()
        else:
            self._stock()

    def _give_back(self, frame: Frame, claimed: Sequence[Claimed]) -> None:
        for one in claimed:
            self._ledger.record(Ticket(frame.send_id, one.seq, one.epoch), RELEASE_CLAIM)


def _logged(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("something beside the sending failed; the sending goes on")
