"""The bytes of one connection to a relay: writes as given, reads as replies, one deadline at a time.

Promise: ``reply`` returns the next reply or raises ``Lost`` once nothing more can
be read: the connection closed, the deadline passed, or the server spoke nonsense.
After ``Lost`` the connection is dead and says so. What the replies mean is the
caller's business.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Final, cast

from newsletter.delivery.transports.outcomes import Reply
from newsletter.delivery.transports.replies import Garbage, ReplyReader

TICK_SECONDS: Final = 0.25  # deadlines are minutes: looking now and then is cheaper than a timer for each


class Lost(Exception):
    """The connection is gone; ``why`` is for a person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Wire(asyncio.Protocol):
    """One TCP or TLS connection, fed by the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._why = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called again after STARTTLS with the transport that encrypts."""
        self.transport = cast("asyncio.Transport", transport)
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    def data_received(self, data: bytes) -> None:
        """Collect replies and wake whoever waits for one."""
        try:
            self._replies += self._reader.feed(data)
        except Garbage as error:
            self.kill(f"the server said something that is no reply: {error}")
        else:
            self._wake()

    def eof_received(self) -> None:
        """Let the connection close: a server that will not speak again is of no use."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember why."""
        self._ticker.cancel()
        self._why = self._why or (f"the connection broke: {exc}" if exc else "the server closed the connection")
        self._wake()

    @property
    def quiet(self) -> bool:
        """Whether a new command may be written: alive, and nothing unasked has arrived."""
        return not self._why and not self._replies and not self._reader.unfinished and not self.transport.is_closing()

    def write(self, *pieces: bytes) -> bool:
        """Hand bytes over to be sent together; False if the connection is gone and nothing left."""
        if self._why or self.transport.is_closing():
            return False
        self.transport.writelines(pieces)
        return True

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply, waited for at most ``seconds``; raise ``Lost``."""
        while not self._replies:
            if self._why:
                raise Lost(self._why)
            self._deadline = self._loop.time() + seconds
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Turn TLS on; replies that came in clear text before it are an attack and end the connection."""
        if not self.quiet:
            self.kill("the server spoke before TLS began")
            raise Lost(self._why)
        self._ticker.cancel()
        upgraded = await self._loop.start_tls(self.transport, self, context, server_hostname=host)
        if upgraded is None:
            raise Lost("TLS could not begin")
        self.connection_made(upgraded)

    def kill(self, why: str) -> None:
        """Drop the connection at once."""
        self._why = self._why or why
        self.transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _tick(self) -> None:
        if self._waiter is not None and self._loop.time() > self._deadline:
            self.kill("the server did not answer in time")
        else:
            self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)
