"""What every Celery application of ours has in common.

Promise: JSON only, no results, early acknowledgement, no ETA, no retries: a task
is a hint and losing it is harmless, so nothing here tries to make the broker
durable (redelivery over Redis is slow and not to be trusted; the ledger has
leases and the workers sweep). The pool is threads: a send is one asyncio loop in
one process, and SIGTERM must reach it as an event.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery import Celery

from newsletter.config import Settings

QUEUE: Final = "newsletter"
THREADS: Final = 8
BEAT_NAME: Final = "beat"
TICK: Final = timedelta(seconds=5)
HINT_EXPIRES: Final = 60  # seconds; a hint that waited longer has been overtaken by a sweep

TRANSPORT: Final[dict[str, Any]] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
HASTY: Final[dict[str, Any]] = {  # for who only sends hints: gives up within seconds
    **TRANSPORT,
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
}


def configured(settings: Settings, *, hasty: bool = False) -> Celery:
    """Return an application without tasks."""
    app = Celery("newsletter", broker=settings.broker, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        task_default_queue=QUEUE,
        task_create_missing_queues=False,
        task_publish_retry=False,
        worker_pool="threads",
        worker_concurrency=THREADS,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,  # has no effect on early acknowledgement
        broker_transport_options=HASTY if hasty else TRANSPORT,
        broker_connection_timeout=1 if hasty else 5,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        beat_scheduler="celery.beat:Scheduler",  # keeps no file: two beats, or a lost one, are harmless
        beat_schedule={"tick": {"task": "tick", "schedule": TICK, "options": {"expires": 3 * TICK.total_seconds()}}},
        beat_max_loop_interval=TICK.total_seconds(),
        beat_enable_remote_control=True,  # answers `newsletter doctor`
        timezone="UTC",
    )
    return app
