"""The worker's own clock: finds due work every 10 seconds, broker or no broker.

Promise: every worker process sweeps from its start until it is told to stop,
even when it has never reached the broker, so that losing Redis, or every key in
it, costs at most 15 seconds. On SIGTERM the work is told at once, before Celery
begins to wait for its tasks; when the work is done the process ends, even if
Celery waits for a broker that has gone silent.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any, Final

from celery import Celery, bootsteps, signals

from newsletter.jobs.work import Work

log = logging.getLogger(__name__)

PERIOD: Final = 10.0
LEAVE_SECONDS: Final = 3.0  # for Celery to end by itself, once the work is done


class Sweeper(threading.Thread):
    """Calls ``tick`` every ``period`` seconds until the work is stopped."""

    def __init__(self, work: Work, *, period: float = PERIOD) -> None:
        super().__init__(name="sweeper", daemon=True)
        self.work = work
        self.period = period

    def run(self) -> None:
        """Sweep at once and then by the clock; a failure is logged and the next sweep comes all the same."""
        while not self.work.stop.is_set():
            try:
                self.work.run("tick")
            except Exception:
                log.exception("the sweep failed; the next one comes in %g s", self.period)
            self.work.stop.wait(self.period)


def install(app: Celery, work: Work) -> None:
    """Make every worker of ``app`` sweep, and stop its work on SIGTERM."""

    class SweeperStep(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:  # noqa: ANN401, ARG002 - Celery's hook
            self.thread = Sweeper(work)
            self.thread.start()

        def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002 - Celery's hook
            work.stop.set()
            self.thread.join()
            work.close()

    def stop_work(**_facts: object) -> None:
        work.stop.set()
        threading.Thread(target=_leave, args=(work,), name="leave", daemon=True).start()

    app.steps["worker"].add(SweeperStep)
    signals.worker_shutting_down.connect(stop_work, weak=False)


def _leave(work: Work) -> None:
    """End this process; Celery has been seen to wait for ever for a broker that says nothing and does not hang up."""
    while work.busy:
        time.sleep(0.1)
    time.sleep(LEAVE_SECONDS)
    log.warning("the broker does not let go; this worker, whose work is done, leaves without its answer")
    os._exit(0)
