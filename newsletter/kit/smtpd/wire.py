"""One connection's bytes in and replies out; what they mean is the subclass's business.

Promise: what arrives in one packet is answered in one packet, and while a reply
is late nothing further is read, so that replies never overtake each other. A
client that goes on sending meanwhile is held back by TCP, not by memory.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from newsletter.kit.smtpd.handler import Answer, Handler, Limits, Reply, Session


class Wire(asyncio.Protocol):
    """Feeds ``step`` and writes what ``say`` is given."""

    def __init__(self, handler: Handler, session: Session, limits: Limits, live: set[Wire]) -> None:
        self.handler, self.session, self.limits = handler, session, limits
        self.loop = asyncio.get_running_loop()
        self.out: list[bytes] = []
        self.rest = b""  # received, not yet read
        self.late: asyncio.Task[None] | None = None  # a reply that is late: nothing is read until it is written
        self.errors = 0
        self.heard_at = self.loop.time()
        self.live = live

    @abstractmethod
    def step(self, data: bytes, position: int) -> int:
        """Read on from ``position``; return the next position, or -1 if a whole line is not there yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self.transport = cast("asyncio.Transport", transport)
        self.live.add(self)
        peer = transport.get_extra_info("peername")
        self.session.peer = peer[0] if isinstance(peer, tuple) else ""
        self.idle = self.loop.call_later(self.limits.idle_seconds, self._check_idle)
        self.say(self.handler.connect(self.session))
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the open transaction; a coroutine of the handler runs on to its end."""
        self.idle.cancel()
        self.live.discard(self)
        self.handler.disconnect(self.session)

    def data_received(self, data: bytes) -> None:
        """Read as far as possible, then write what is to be said in one packet."""
        self.heard_at = self.loop.time()
        if self.late:
            self.rest += data
            if len(self.rest) > self.limits.line_bytes:
                self.transport.pause_reading()
        else:
            self._read(self.rest + data if self.rest else data)

    def _read(self, data: bytes) -> None:
        position, end = 0, len(data)
        while position < end and not self.late:
            after = self.step(data, position)
            if after < 0:
                break
            position = after
        self.rest = data[position:]
        self.flush()

    def read_on(self) -> None:
        """Continue after a late reply."""
        self.late = None
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._read(self.rest)

    def flush(self) -> None:
        """Write what was said."""
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def say(self, *replies: Reply) -> None:
        """Reply now, or, if one of the replies is an ``Answer``, start a late reply."""
        if any(isinstance(reply, Answer) for reply in replies):
            self.late = self.loop.create_task(self._say_late(replies))
            return
        for reply in replies:
            assert isinstance(reply, str)
            self.out.append(reply.encode("utf-8", "replace") + b"\r\n")

    def complain(self, text: str) -> None:
        """Answer a command that makes no sense; too many of them end the connection."""
        self.errors += 1
        self.say(text if self.errors < self.limits.errors else Answer("421 4.7.0 Too many errors", drop=True))

    async def _say_late(self, replies: Sequence[Reply]) -> None:
        self.flush()
        for reply in replies:
            answer = Answer(reply) if isinstance(reply, str) else reply
            await asyncio.sleep(answer.delay)
            if self.transport.is_closing():  # the client did not wait
                return
            for piece in answer.raw:
                self.transport.write(piece)
                await asyncio.sleep(0.01)  # so that each piece is a packet of its own
            if answer.text and not answer.raw:
                self.transport.write(answer.text.encode("utf-8", "replace") + b"\r\n")
            if answer.drop:
                self.transport.close()
                return
        self.read_on()

    def _check_idle(self) -> None:
        left = self.heard_at + self.limits.idle_seconds - self.loop.time()
        if left > 0 or self.late:
            self.idle = self.loop.call_later(max(left, 1.0), self._check_idle)
        else:
            self.say(Answer("421 4.4.2 Idle for too long", drop=True))
