"""What one worker process does, each job once at a time.

Promise: ``run`` and ``start`` take hints; ``tick`` finds every kind of due work by
itself, so that a process which receives no hint at all loses time only. After
``close`` began nothing new begins, and it returns when the rest is finished
(``delivery`` promises 30 s). The database is opened when it is first needed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from newsletter import articles, delivery, events, notices
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.jobs.configuration import THREADS
from newsletter.jobs.once import Once

log = logging.getLogger(__name__)

ABSORB_EVERY: Final = 60.0  # seconds; it reads the ledger of every recent send
LOOK_UP_EVERY: Final = 900.0  # it reads everybody's address


class Work:
    """The jobs of one process, by topic: the topics of ``kit.wake``, and ``tick``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self._jobs: dict[str, Callable[[int], None]] = {
            "deliver": self._deliver,
            "collect": self._collect,
            "notices": self._notices,
            "absorb": self._absorb,
            "domains": self._domains,
            "tick": self._tick,
        }
        self._once = Once()
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._absorbed, self._looked_up = -ABSORB_EVERY, -LOOK_UP_EVERY

    @property
    def database(self) -> Database:
        """This process's database."""
        with self._lock:
            if self._database is None:
                self._database = Database.of(self.settings)
            return self._database

    @property
    def busy(self) -> bool:
        """Whether any job is being done; after the stop none begins any more."""
        return self._once.busy

    def run(self, topic: str, ident: int = 0) -> bool:
        """Do a job here and now; return False at once if this process does it already."""
        if self.stop.is_set():
            return False
        return self._once.run((topic, ident), partial(self._jobs[topic], ident))

    def deliver(self) -> None:
        """Begin the sends that are due, also while this process sends already, and send."""
        self._begin()
        self.run("deliver")

    def start(self, topic: str, ident: int = 0) -> None:
        """Do a job in a thread of this process; an exception becomes a log line."""
        with self._lock:
            if self.stop.is_set():
                return
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="work")
            self._threads.submit(_attempt, topic, partial(self.run, topic, ident))

    def close(self) -> None:
        """Stop, wait for what runs, close the database."""
        self.stop.set()
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            database, self._database = self._database, None
        if database is not None:
            database.dispose()

    def _tick(self, _ident: int) -> None:
        self._begin()
        for topic in ("deliver", "collect", "notices"):
            self.start(topic)
        if time.monotonic() - self._absorbed >= ABSORB_EVERY:
            self._absorbed = time.monotonic()
            self.start("absorb")
        if time.monotonic() - self._looked_up >= LOOK_UP_EVERY:
            self._looked_up = time.monotonic()
            self.start("domains")

    def _begin(self) -> None:
        """Begin what is due and take back what dead workers held; ``delivery`` sees to it that it happens once."""
        _attempt("beginning due sends", partial(delivery.begin_due, self.database, self.settings))
        _attempt("recovering leases", partial(delivery.recover, self.database))

    def _deliver(self, _send_id: int) -> None:
        delivery.run(self.database, self.settings, stop=self.stop)

    def _collect(self, source_id: int) -> None:
        if source_id:
            articles.collect(self.database, source_id, allow=self.settings.fetch_allow)
            return
        with self.database.read() as session:
            due = articles.due_sources(session)
        for one in due:
            self.start("collect", one)

    def _notices(self, _ident: int) -> None:
        notices.send_due(self.database, self.settings, stop=self.stop)

    def _absorb(self, send_id: int) -> None:
        events.absorb_refusals(self.database, self.settings, send_id or None)

    def _domains(self, _ident: int) -> None:
        delivery.look_up_domains(self.database, stop=self.stop)


def _attempt(name: str, job: Callable[[], object]) -> None:
    """Do a job; a failure is told and must stop nothing else."""
    try:
        job()
    except Exception:
        log.exception("%s failed; it is tried again at the next sweep", name)
