"""The processes that are measured: the sender as it is, and the same connections without a ledger.

Promise: what they are to do is prepared before the clock starts, and all start at
once; each tells what it took for its share. They decide nothing and print nothing.
"""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from newsletter import config, delivery
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.transports.smtp import Accepted, Channel, Relay
from newsletter.errors import Refused

PREPARED: Final = 500  # different messages for the limit, sent again and again


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took for its share: wall-clock and processor seconds, and its highest memory."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float


Work = Callable[[], None]


def together(workers: int, make: Callable[..., Work], settings: Settings, *more: int) -> list[Usage]:
    """Run the work that ``make`` prepares in so many processes, all starting at once."""
    spawn = mp.get_context("spawn")
    gate = spawn.Barrier(workers)
    results = spawn.SimpleQueue()
    arguments = (make, settings.model_dump(mode="json"), more, gate, results)
    processes = [spawn.Process(target=_measured, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise Refused("A sending process failed; what it said is above.")
    return [results.get() for _ in processes]


def _measured(
    make: Callable[..., Work],
    values: dict[str, Any],
    more: tuple[int, ...],
    gate: Any,  # noqa: ANN401 - made by a context of multiprocessing
    results: Any,  # noqa: ANN401 - likewise
) -> None:
    work = make(config.load(**values), *more)
    gate.wait()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    results.put(Usage(seconds, cpu_seconds, _peak_memory_mb()))


def _peak_memory_mb() -> float:
    """Return the most memory that this process has had; not what its parent had, as ``ru_maxrss`` does on Linux."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1024 / (1024 if sys.platform == "darwin" else 1)
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def sending(settings: Settings) -> Work:
    """Prepare the real thing: claim, personalize, send, record."""
    database = Database.of(settings)
    with database.read() as session:
        delivery.senders(session)  # the connection is open before the clock starts

    def work() -> None:
        delivery.run(database, settings)

    return work


def pushing(settings: Settings, send_id: int, count: int) -> Work:
    """Prepare the limit: finished messages through the same connections, and nothing recorded."""
    (relay,) = map(Relay.parse, settings.smtp_url)
    with Database.of(settings).read() as session:
        mails = delivery.first_mails(session, settings, send_id, PREPARED)

    async def line(left: Iterator[int]) -> None:
        channel = await Channel.open(relay)
        for n in left:
            mail = mails[n % len(mails)]
            outcome = await channel.deliver(mail.mail_from, mail.rcpt_to, mail.message)
            if not isinstance(outcome, Accepted):
                raise Refused(f"The relay did not accept a message: {outcome}")
        await channel.close()

    async def lines() -> None:
        left = iter(range(count))
        await asyncio.gather(*(line(left) for _ in range(relay.connections)))

    return lambda: uvloop.run(lines())
