"""A TCP proxy in a thread: the network between two programs, with everything that networks do.

``port`` is where the one side connects; ``upstream`` is the other side, a host and port or a Unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

RST = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing resets
CHUNK = 65_536


class Proxy:
    """Passes everything until told otherwise; ``cut`` counts the connections it broke."""

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self.upstream = upstream
        self.port = 0
        self.cut = 0
        self.connections = 0  # made so far
        self._refusing = False
        self._delay = 0.0
        self._rate = 0  # bytes a second; 0: as fast as it goes
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._open = asyncio.Event()
        self._open.set()
        self._server = self._call(asyncio.start_server, self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_exception: object) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- verbs -----------------------------------------------------------------

    def let_pass(self) -> None:
        """Behave."""
        self._refusing, self._delay, self._rate = False, 0.0, 0
        self._loop.call_soon_threadsafe(self._open.set)

    def refuse(self) -> None:
        """Close new connections at once; the present ones stay."""
        self._refusing = True

    def reset(self) -> None:
        """Reset every present connection; new ones pass."""
        self._call(self._reset)

    def stall(self) -> None:
        """Take everything and pass nothing on, without a word: half open."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def delay(self, seconds: float) -> None:
        """Hold every packet back for so long."""
        self._delay = seconds

    def slow(self, rate: int) -> None:
        """Pass so many bytes a second in each direction of each connection."""
        self._rate = rate

    # -- on the loop -------------------------------------------------------------

    def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        return asyncio.run_coroutine_threadsafe(function(*arguments), self._loop).result()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            if isinstance(self.upstream, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(str(self.upstream))
            else:
                far_reader, far_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        pair = {writer, far_writer}
        self._writers |= pair
        with contextlib.suppress(asyncio.CancelledError):  # this proxy is closed
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(min(self._rate, CHUNK) or CHUNK):
                await self._open.wait()
                await asyncio.sleep(self._delay + (len(data) / self._rate if self._rate else 0))
                if writer.is_closing():
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _reset(self) -> None:
        live = [writer for writer in self._writers if not writer.is_closing()]
        self.cut += len(live) // 2
        for writer in live:
            connection = writer.get_extra_info("socket")
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
