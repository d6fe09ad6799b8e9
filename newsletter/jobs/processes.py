"""A worker or a beat as this process.

Promise: ``run_worker`` and ``run_beat`` keep this process until SIGTERM; they
start, and a worker works, while the broker is away. Logging is ours: Celery
touches no logger, and a line for every tick is left out.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import warnings
from typing import Final

from celery import Celery, signals
from celery.apps.beat import Beat
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]  # missing in its stubs

from newsletter.config import Settings
from newsletter.jobs.configuration import BEAT_NAME
from newsletter.jobs.factory import create
from newsletter.kit import logs

log = logging.getLogger(__name__)

CHATTY: Final = ("celery.worker.strategy", "celery.app.trace", "celery.beat")


def prepared(settings: Settings) -> Celery:
    """Return the application of this process, with its logging taken over."""
    logs.setup(settings.log_format)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    signals.setup_logging.connect(_keep_our_logging)
    return create(settings)


def run_worker(settings: Settings, *, concurrency: int) -> int:
    """Work until SIGTERM; return the exit code."""
    app = prepared(settings)
    if os.geteuid() == 0:
        log.warning("this worker runs as root; a user of its own would be safer")
        warnings.filterwarnings("ignore", category=SecurityWarning)  # Celery says the same in nine lines
    worker = app.Worker(
        hostname=f"worker-{os.getpid()}@{socket.gethostname()}",
        concurrency=concurrency,
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


class Clock(Beat):
    """Celery's beat, which leaves at once: it keeps nothing that would have to be saved."""

    def install_sync_handler(self, service: object) -> None:  # noqa: ARG002 - Celery's hook
        """Exit on a signal, wherever it arrives; Celery's own exception can be swallowed while it connects."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))


def run_beat(settings: Settings) -> None:
    """Ask the workers every few seconds to look for due work, until SIGTERM."""
    name = f"{BEAT_NAME}@{socket.gethostname()}"
    Clock(app=prepared(settings), loglevel="INFO", quiet=True, hostname=name).run()


def _keep_our_logging(**_facts: object) -> None:
    """Do nothing: with a receiver of ``setup_logging`` Celery leaves the loggers alone."""
