"""The open connections of a sending process, as many as the work needs and the relays allow.

Promise: connections are opened when there is work for them and closed when idle;
a relay that takes fewer than configured is used with what it takes; one that is
down leaves its share to the others. Each line takes one message at a time from
``source``, asks ``may_go`` right before its body leaves, and either reports its
outcome to ``settle`` or, if nothing of it was written, gives it back. A line of a
relay with a pace waits for its turn before it takes a message, so that no intent is
open meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from newsletter.delivery.pace.pacer import Pacer
from newsletter.delivery.personalize import Mail
from newsletter.delivery.transports.smtp import Channel, Outcome, Relay, Security, Timeouts, Uncertain
from newsletter.errors import TransportError

REST_SECONDS: Final = 10.0  # before a relay that refused a connection is asked for more
SECONDS: Final = 60  # in the minute that a pace is reckoned by
AHEAD: Final = 2  # deliveries per connection between intent and outcome

Item = TypeVar("Item")


@dataclass(slots=True)
class Route:
    """One relay's connections. ``limit`` shrinks when the relay refuses more."""

    relay: Relay
    label: str  # the relay's name in the ledger
    pace: str  # the name of its pace
    most: int  # connections at once
    limit: int
    messages: int  # on one connection; shrinks when the relay hangs up earlier without a word
    tls: ssl.SSLContext | None  # made once: it reads the authorities' certificates
    opening: int = 0
    open: int = 0
    rests_until: float = 0.0
    problem: str = ""


class Lines(Generic[Item]):
    """Runs the lines as tasks of the running loop."""

    def __init__(
        self,
        relays: Sequence[Relay],
        timeouts: Timeouts,
        pacer: Pacer,
        *,
        source: Callable[[], Awaitable[tuple[Item, Mail] | None]],
        may_go: Callable[[Item], bool],
        give_back: Callable[[Item, Mail], None],
        settle: Callable[[Item, str, Outcome], None],
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.routes = _routes(relays)
        self.withheld = 0  # of what the open lines could have in hand: lines that wait for their relay's turn
        self._pacer, self._closing = pacer, False
        self._timeouts, self._source, self._may_go, self._give_back = timeouts, source, may_go, give_back
        self._settle, self._changed, self._failed = settle, changed, failed
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.most = sum(route.most for route in self.routes)
        self._channels: set[Channel] = set()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._channels)

    @property
    def opening(self) -> int:
        """How many are about to be."""
        return sum(route.opening for route in self.routes)

    @property
    def problem(self) -> str:
        """Why nothing can be sent, if no relay can be reached; else empty."""
        if self.open or self.opening or not all(route.problem for route in self.routes):
            return ""
        return "; ".join(dict.fromkeys(route.problem for route in self.routes))

    def want(self, more: int) -> None:
        """Open up to ``more`` connections beyond those that are opening, spread over the relays."""
        if len(self._tasks) >= self.most:
            return
        missing = more - self.opening
        while missing > 0:
            free = [route for route in self.routes if self._may_open(route)]
            if not free:
                return
            route = min(free, key=lambda route: (route.open + route.opening) / route.relay.share)
            route.opening += 1
            task = self._loop.create_task(self._run(route))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            missing -= 1

    def kill(self, why: str) -> None:
        """Cut every connection: what is on the wire becomes uncertain."""
        for channel in self._channels:
            channel.kill(why)

    async def closed(self) -> None:
        """Wait until every line has ended; those that wait for a turn go."""
        self._closing = True
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _may_open(self, route: Route) -> bool:
        lines = route.open + route.opening
        rested = self._loop.time() >= route.rests_until or (not lines and not route.problem)
        return lines < min(route.limit, self._useful(route)) and rested

    def _useful(self, route: Route) -> int:
        """Return how many connections a relay's pace can keep busy, at a second a message."""
        pace = self._pacer.limit(route.relay) if route.pace in self._pacer.held else None
        return route.most if pace is None else 1 + int(pace / SECONDS)

    async def _run(self, route: Route) -> None:
        try:
            channel = await Channel.open(route.relay, self._timeouts, tls=route.tls)
        except TransportError as error:
            route.opening -= 1
            route.problem = "" if route.open else error.message  # with others open it has just had enough
            route.rests_until = self._loop.time() + REST_SECONDS
            route.limit = max(route.open, 1)
            self._changed()
            return
        route.opening -= 1
        route.open += 1
        route.limit = min(route.limit + 1, route.most)  # it may take more again
        route.problem = ""
        self._channels.add(channel)
        if route.pace not in self._pacer.held:  # else there is nothing to ask for before its turn
            self._changed()
        try:
            await self._serve(route, channel)
            await channel.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for this line's message for ever
            channel.kill("the line failed")
            self._failed(error)
        finally:
            self._channels.discard(channel)
            route.open -= 1
            self._changed()

    async def _serve(self, route: Route, channel: Channel) -> None:
        with self._withholding() as withhold:
            while _fit(route, channel):
                slowly = route.pace in self._pacer.held
                if slowly:
                    withhold(AHEAD)
                    if not await self._pacer.turn(route.relay, lambda: self._closing):
                        return
                    withhold(AHEAD - 1)
                    self._changed()
                work = await self._take(route, channel)
                if work is None:
                    if slowly:
                        self._pacer.keep_turn(route.relay)
                    return
                item, mail = work
                may_go = partial(self._may_go, item)
                outcome = await channel.deliver(mail.mail_from, mail.rcpt_to, mail.message, may_go=may_go)
                if isinstance(outcome, Uncertain) and channel.served:
                    # Some relays hang up after so many messages without saying so: do not run into it again.
                    route.messages = min(route.messages, channel.served)
                if slowly:
                    withhold(AHEAD if route.pace in self._pacer.held else 0)
                self._settle(item, route.label, outcome)

    @contextlib.contextmanager
    def _withholding(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that says how much less than the others a line may have in hand."""
        mine = 0

        def withhold(count: int) -> None:
            nonlocal mine
            self.withheld += count - mine
            mine = count

        try:
            yield withhold
        finally:
            withhold(0)

    async def _take(self, route: Route, channel: Channel) -> tuple[Item, Mail] | None:
        """Take the next message; None if there is none, or the server hung up while there was nothing to do."""
        work = await self._source()
        if work is not None and not _fit(route, channel):
            self._give_back(*work)
            return None
        return work


def _routes(relays: Sequence[Relay]) -> list[Route]:
    """Return a route for each relay, with as many connections as keep the shares and stay within each one's number."""
    scale = min(relay.connections / relay.share for relay in relays)
    return [_route(relay, max(round(scale * relay.share), 1)) for relay in relays]


def _route(relay: Relay, most: int) -> Route:
    tls = None if relay.security is Security.PLAIN else relay.tls()
    return Route(relay, relay.label, relay.pace, most, most, relay.messages, tls)


def _fit(route: Route, channel: Channel) -> bool:
    return channel.usable and channel.served < route.messages
