"""Makes the Celery application of a worker, or of beat.

Promise: the application has the five tasks, and every worker of it sweeps by its
own clock and watches its consumer. It opens no connection.
"""

from __future__ import annotations

from celery import Celery

from newsletter.config import Settings
from newsletter.jobs import sweeper, tasks, watchdog
from newsletter.jobs.configuration import QUEUE, configured
from newsletter.jobs.work import Work


def create(settings: Settings) -> Celery:
    """Return the application of ``worker.py``, ``newsletter worker`` and ``newsletter beat``."""
    app = configured(settings)
    work = Work(settings)
    tasks.register(app, work)
    sweeper.install(app, work)
    watchdog.install(app, QUEUE)
    return app
