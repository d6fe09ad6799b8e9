"""The supply of jobs: claims them a fraction of a second's worth at a time, from every running send in turn.

Promise: a send that begins while others run joins within seconds; a send is
``done`` only after a whole pass over its ledger found nothing due; what was
claimed when the stop came is given back; ``wanted`` keeps from the wire whoever
left more than a second ago, however slow the relay is. It runs as one coroutine;
SQL runs in the ledger's thread (claims) and in a thread of its own (reading).
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
from newsletter.db import Database
from newsletter.delivery.changes import RELEASE_CLAIM, skipped
from newsletter.delivery.claim import Loaded, load
from newsletter.delivery.frames import Frame, Job, running
from newsletter.delivery.ledger import AWAY, Ledger
from newsletter.delivery.statements import Claimed, Ticket

log = logging.getLogger(__name__)

AWAY_SECONDS: Final = 1.0  # between tries while the database is away
LOOK_SECONDS: Final = 5.0  # between looks for sends that have begun
SMALLEST: Final = 20
CLAIM_SECONDS: Final = 1 / 3  # of work in one claim: half as much again waits at most, and stays fresh
FRESH_SECONDS: Final = 0.5  # for so long a look at who may be mailed holds
LARGEST: Final = 500  # rows in one claim: more would keep intents waiting behind it

Result = TypeVar("Result")


class Supply:
    """Fills ``backlog`` while it is short; ``stock`` is called whenever it grew, or when the supply ends."""

    def __init__(
        self, database: Database, settings: Settings, ledger: Ledger, send_id: int | None, stock: Callable[[], None]
    ) -> None:
        self.backlog: deque[Job] = deque()
        self.frames: dict[int, Frame] = {}
        self.skipped = 0
        self.ended = False
        self.stopping = False
        self.smallest = SMALLEST  # as many as the connections can have in hand
        self.rate = 0.0  # deliveries a second lately, set from outside
        self.low = asyncio.Event()  # the backlog runs short
        self._database, self._settings, self._ledger = database, settings, ledger
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
                open_frames = [frame for frame in self.frames.values() if not frame.done]
                if not open_frames:
                    break
                for frame in open_frames:
                    await self._fill(frame)
                await self._until_low()
        finally:
            self.ended = True
            self._stock()

    def stop(self) -> None:
        """Claim no more; give back what nobody asked an intent for."""
        self.stopping = True
        while self.backlog:
            self._ledger.record(self.backlog.popleft().ticket, RELEASE_CLAIM)
        self.low.set()

    def close(self) -> None:
        """Wait for the reading thread."""
        self._threads.shutdown()

    def aside(self, work: Callable[[], None]) -> None:
        """Run something that may block beside the loop; nobody waits for it, a failure is a log line."""
        self._threads.submit(_logged, work)

    async def wanted(self, job: Job) -> bool:
        """Look again whether the reader may be mailed, if the last look was too long ago: relays can be slow."""
        if time.monotonic() - job.checked < FRESH_SECONDS:
            return True
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
            frame.done = False
        for frame in await self._read(lambda session: running(session, self._settings, known, self._send_id)):
            self.frames[frame.send_id] = frame

    async def _fill(self, frame: Frame) -> None:
        """Claim one batch of a send and load it."""
        limit = self.batch
        claimed = await self._ledger.claim(frame.send_id, frame.after, limit)
        if len(claimed) < limit:
            # The end of this pass; what came free behind the cursor is found by the next one.
            frame.done = not claimed and not frame.found
            frame.after = frame.found = 0
        else:
            frame.after = claimed[-1].seq
            frame.found += len(claimed)
        if not claimed:
            return
        if self.stopping:
            self._give_back(frame, claimed)
            return
        self._take(await self._read(lambda session: load(session, frame, claimed)))

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
