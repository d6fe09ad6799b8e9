"""Notices a consumer that the broker has forgotten, and reconnects it.

Promise: when hints wait in the queue and this worker, which has room for them,
has received none for 15 seconds, its connection is dropped and made anew. After
a broker's sudden death Celery's consumer has been seen to stay alive and never
consume again; nothing would be lost (the sweeper works on), only the quickness.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from celery import Celery, bootsteps, signals
from celery.worker import state
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0
PATIENCE: Final = 15.0


def waiting(app: Celery, queue: str) -> int:
    """Return how many hints wait in the broker, asked over a connection of its own; 0 when it cannot tell."""
    connection: Any = app.connection_for_read()
    with connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            declared = connection.default_channel.queue_declare(queue=queue, passive=True)
        except (OperationalError, *connection.connection_errors, *connection.channel_errors):
            return 0  # the broker is away, or the queue is empty and does not exist
        return int(declared.message_count)


def install(app: Celery, queue: str) -> None:
    """Make every worker of ``app`` watch itself."""
    heard = time.monotonic()

    def received(**_facts: object) -> None:
        nonlocal heard
        heard = time.monotonic()

    class WatchdogStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer:Tasks",)

        def start(self, parent: Any) -> None:  # noqa: ANN401 - Celery's hook
            received()
            self.timer = parent.timer.call_repeatedly(LOOK_EVERY, self.look, (parent,))

        def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002 - Celery's hook
            self.timer.cancel()

        def look(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's consumer
            full = len(state.reserved_requests) >= consumer.pool.num_processes
            if full or time.monotonic() - heard < PATIENCE or not waiting(app, queue):
                return
            log.warning("hints wait in the broker and none arrives; connecting anew")
            raise ConnectionResetError

    app.steps["consumer"].add(WatchdogStep)
    signals.task_received.connect(received, weak=False)
