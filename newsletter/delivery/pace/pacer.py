"""How a sending process keeps to the paces: it looks at them every two seconds and asks for turns where one is needed.

Promise: what nothing holds costs no SQL and a look into a set; what is limited is
claimed only after its turns are reserved, together with all other workers; what is
paused is not touched but by a probe. What the other side says of us is noted
here, at most a few comparisons a message, and written beside the event loop.
While the database is away nothing new is allowed and nothing is lost.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from newsletter.db import AWAY, Database
from newsletter.delivery.models import PaceState
from newsletter.delivery.pace import limits, paces
from newsletter.delivery.pace.faults import asks_to_slow, blames_sender
from newsletter.delivery.pace.limits import MINUTE, PaceRow
from newsletter.delivery.pace.providers import Provider
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Outcome, Refused
from newsletter.delivery.transports.relays import Relay, pace_of

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
NAP: Final = 0.2  # the longest sleep of those who wait for a turn: the stop may come
SOONEST: Final = 0.01
WINDOW: Final = 50  # outcomes of one lane that are looked at together
SHARE: Final = 10  # of them that blame us (a fifth): the lane is paused
SEVERAL: Final = 3  # domains that say the same before it counts for all the small ones together
AT_ONCE: Final = 1000  # turns of a relay in one reservation, if its pace allows so many
FINE, BLAMED, SLOWED = range(3)
EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)

LANES: Final = tuple(int(provider) for provider in Provider)

Result = TypeVar("Result")


class _Watch:
    """What happened lately in one lane."""

    __slots__ = ("before", "counted", "since", "voices", "window")

    def __init__(self) -> None:
        self.window: deque[int] = deque(maxlen=WINDOW)
        self.voices: deque[str] = deque(maxlen=SHARE)  # the domains of those who blamed us or asked us to slow
        self.counted, self.since = 0, time.monotonic()
        self.before = (0, 0.0)  # count and seconds of the stretch before this one

    def rate(self) -> float:
        """Return how many a minute it has been lately."""
        counted, seconds = self.before
        return (self.counted + counted) * MINUTE / max(time.monotonic() - self.since + seconds, 0.05)

    def forget(self) -> None:
        """Begin to listen anew."""
        self.window.clear()
        self.voices.clear()

    def begin_again(self) -> None:
        """Begin another stretch."""
        moment = time.monotonic()
        self.before = (self.counted, moment - self.since)
        self.counted, self.since = 0, moment


class Pacer:
    """The paces as one run knows them; ``closed`` is called with a lane that is paused from here."""

    def __init__(self, database: Database, relays: Sequence[Relay]) -> None:
        self.closed: Callable[[int], None] = lambda _lane: None
        self.free = frozenset(LANES)  # lanes that nothing holds
        self.held: frozenset[str] = frozenset()  # names of the relays' paces that something holds
        self._database = database
        self._relays = [relay.pace for relay in relays]
        self._rows: dict[str, PaceRow] = {}
        self._ahead = dt.timedelta()  # of this process's monotonic clock: the database's
        self._watches = [_Watch() for _ in LANES]
        self._probing: set[int] = set()  # paused lanes whose probe is this process's
        self._turns = dict.fromkeys(self._relays, 0)  # reserved, not used yet
        self._queues = {name: asyncio.Lock() for name in self._relays}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pace")

    # -- the paces as last seen ------------------------------------------------

    async def look(self) -> None:
        """Read the paces."""
        found = await self._beside(self._read)
        if found is not None:
            rows, moment = found
            self._ahead = moment - EPOCH - dt.timedelta(seconds=time.monotonic())
            self._see(rows)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()
            for watch in self._watches:
                watch.begin_again()

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await asyncio.to_thread(self._threads.shutdown)

    def open(self) -> list[int]:
        """Return the lanes that something holds and that get a turn now or soon."""
        moment = self._moment()
        return [lane for lane in LANES if lane not in self.free and not self._row(lane).closed(moment)]

    def wait(self) -> float:
        """Return the seconds until the next turn of a held lane, at most a nap."""
        moment = self._moment()
        soonest = min((self._row(lane).wait(moment) for lane in self.open()), default=NAP)
        return min(max(soonest, SOONEST), NAP)

    def limit(self, relay: Relay) -> float | None:
        """Return how many messages a minute a relay takes, or None for any number."""
        row = self._rows.get(relay.pace)
        return row.limit(self._moment()) if row else None

    # -- turns -------------------------------------------------------------------

    async def take(self, lane: int, want: int) -> int:
        """Reserve up to ``want`` deliveries of a held lane; 0 when it is not its turn."""
        row = self._row(lane)
        if row.wait(self._moment()) > 0:
            return 0
        count = await self._take(Provider(lane).slug, want)
        if count and row.state is PaceState.PAUSED:
            self._probing.add(lane)
        return count

    async def give_back(self, lane: int, count: int) -> None:
        """Return turns of a lane for which there was nobody."""
        await self._beside(partial(paces.give_back, self._database, Provider(lane).slug, count))

    async def turn(self, relay: Relay, over: Callable[[], bool]) -> bool:
        """Wait until a relay may have one more message; False if ``over`` came first."""
        name = relay.pace
        async with self._queues[name]:
            while not over():
                if name in self.held and not self._turns[name]:
                    self._turns[name] += await self._take(name, AT_ONCE)
                if self._turns[name] or name not in self.held:
                    self._turns[name] = max(self._turns[name] - 1, 0)
                    return True
                await asyncio.sleep(min(max(self._rows[name].wait(self._moment()), SOONEST), NAP))
        return False

    def keep_turn(self, relay: Relay) -> None:
        """Keep a turn for which there was no message."""
        self._turns[relay.pace] += 1

    # -- what the other side says --------------------------------------------------

    def settled(self, lane: int, address: str, relay: str, outcome: Outcome) -> bool:
        """Note the outcome for an address at a relay; return whether it is a provider's refusal of the sender."""
        watch = self._watches[lane]
        watch.counted += 1
        if type(outcome) is Accepted:
            watch.window.append(FINE)
            if lane in self._probing:
                self._reopen(lane)
            return False
        blames, slows = blames_sender(outcome), asks_to_slow(outcome)
        watch.window.append(BLAMED if blames else SLOWED if slows else FINE)
        if blames or slows:
            watch.voices.append(address.rpartition("@")[2].lower())
        if blames:
            self._blamed(lane, outcome)
        elif slows:
            self._slowed(lane, relay, outcome)
        return blames

    def _blamed(self, lane: int, outcome: Outcome) -> None:
        watch, name = self._watches[lane], Provider(lane).slug
        if watch.window.count(BLAMED) < SHARE or not self._speaks_for_all(lane):
            return
        reason, rate = _reason(outcome), watch.rate()
        if self._change(name, limits.paused(self._row(lane), rate, self._moment(), reason)):
            watch.forget()
            self._write(partial(paces.pause, self._database, name, rate, reason))
            self.closed(lane)

    def _reopen(self, lane: int) -> None:
        self._probing.discard(lane)
        self._watches[lane].forget()
        name = Provider(lane).slug
        if self._change(name, limits.reopened(self._row(lane), self._moment())):
            self._write(partial(paces.reopen, self._database, name))

    def _slowed(self, lane: int, relay: str, outcome: Outcome) -> None:
        watch, name, rate = self._watches[lane], Provider(lane).slug, self._watches[lane].rate()
        if isinstance(outcome, Deferred) and outcome.command == "MAIL":  # no reader was named: it is the relay's
            name, rate = pace_of(relay), sum(each.rate() for each in self._watches) / len(self._relays)
        elif lane == Provider.OTHER and (watch.window.count(SLOWED) < SHARE or not self._speaks_for_all(lane)):
            return
        reason = _reason(outcome)
        row = self._rows.get(name) or PaceRow(name)
        if self._change(name, limits.slower(row, rate, self._moment(), reason)):
            self._write(partial(paces.slow, self._database, name, rate, reason))

    def _speaks_for_all(self, lane: int) -> bool:
        """Whether what was said is the lane's: of thousands of small servers one says nothing about the others."""
        return lane != Provider.OTHER or len(set(self._watches[lane].voices)) >= SEVERAL

    # -- beside the loop -----------------------------------------------------------

    async def _take(self, name: str, want: int) -> int:
        given = await self._beside(partial(paces.take, self._database, name, want))
        if given is None:
            await asyncio.sleep(NAP)
            return 0
        count, row = given
        self._see(self._rows | {name: row})
        return count

    def _change(self, name: str, values: Mapping[str, Any]) -> bool:
        """Know a change at once that the others learn within two seconds; False if there is none."""
        if values:
            self._see(self._rows | {name: replace(self._rows.get(name) or PaceRow(name), **values)})
        return bool(values)

    def _write(self, work: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._written(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _written(self, work: Callable[[], None]) -> None:
        await self._beside(work)
        await self.look()

    async def _beside(self, work: Callable[[], Result]) -> Result | None:
        """Run what waits for the database; None while that is away: the next reply, or the next look, asks again."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except AWAY as error:
            log.warning("the paces wait for the database: %s", error.orig)
            return None

    def _read(self) -> tuple[dict[str, PaceRow], dt.datetime]:
        with self._database.read() as session:
            return paces.read(session)

    def _see(self, rows: dict[str, PaceRow]) -> None:
        self._rows = rows
        moment = self._moment()
        held = {name for name, row in rows.items() if not row.free(moment)}
        self.free = frozenset(lane for lane in LANES if Provider(lane).slug not in held)
        self.held = frozenset(held.intersection(self._relays))

    def _row(self, lane: int) -> PaceRow:
        name = Provider(lane).slug
        return self._rows.get(name) or PaceRow(name)

    def _moment(self) -> dt.datetime:
        """Return the database's present instant, as far as it is known here."""
        return EPOCH + self._ahead + dt.timedelta(seconds=time.monotonic())


def _reason(outcome: Outcome) -> str:
    return str(outcome.reply) if isinstance(outcome, Deferred | Refused) else ""
