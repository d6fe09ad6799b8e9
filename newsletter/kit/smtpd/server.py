"""Opening the port: on a running loop, or in a thread with a loop of its own.

Promise: ``Server`` accepts connections when its ``with`` block begins and has
closed port and connections when it ends. A port of 0 takes a free one, told by
``port``.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
from functools import partial
from types import TracebackType
from typing import Self

import uvloop

from newsletter.kit.smtpd.connection import Connection
from newsletter.kit.smtpd.handler import Handler, Limits, Session
from newsletter.kit.smtpd.wire import Wire


async def serve(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    lmtp: bool = False,
    hostname: str = "localhost",
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    live: set[Wire] | None = None,
) -> asyncio.Server:
    """Listen on the running loop; close the returned server to stop accepting. ``live`` holds who is connected."""
    numbers = itertools.count(1)
    connected: set[Wire] = set() if live is None else live

    def connection() -> Connection:
        session = Session(next(numbers), peer="", lmtp=lmtp, hostname=hostname)
        return Connection(handler, session, limits or Limits(), connected)

    loop = asyncio.get_running_loop()
    return await loop.create_server(connection, host, port, ssl=tls, backlog=1024)


class Server:
    """The same in a thread of its own: ``with Server(handler) as server: ... server.port``."""

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        lmtp: bool = False,
        hostname: str = "localhost",
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._live: set[Wire] = set()
        self._open = partial(
            serve,
            handler,
            host=host,
            port=port,
            lmtp=lmtp,
            hostname=hostname,
            limits=limits,
            tls=tls,
            live=self._live,
        )
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtpd", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except OSError:
            self._end_loop()
            raise
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._end_loop()

    async def _close(self) -> None:
        self._server.close()
        for connection in list(self._live):
            connection.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
