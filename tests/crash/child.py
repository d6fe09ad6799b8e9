"""A process that sends until it is killed: ``python -m crash.child '<orders as JSON>'``, in the folder tests.

``settings``: of the product. ``point`` and ``nth``: where it kills itself, or with
``memory`` runs out of it. ``loop``: sweep until SIGTERM, as a worker does, instead
of one run. ``patience`` and ``timeouts``: of the product's options. ``hours``: how
much its wall clock is ahead.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import signal
import sys
import threading
from contextlib import nullcontext
from typing import Any

import time_machine
from crash import points

from newsletter import config, delivery
from newsletter.db import Database
from newsletter.delivery.transports.smtp import Timeouts
from newsletter.kit import clock

log = logging.getLogger("child")
SWEEP_SECONDS = 0.2


def main(orders: dict[str, Any]) -> None:
    if orders["point"]:
        points.arm(orders["point"], orders["nth"], memory=orders["memory"])
    shifted = time_machine.travel(clock.now() + dt.timedelta(hours=orders["hours"])) if orders["hours"] else None
    with shifted or nullcontext():
        settings = config.load(**orders["settings"])
        options = delivery.Options(
            patience=delivery.Patience(**orders["patience"]), timeouts=Timeouts(**orders["timeouts"])
        )
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        database = Database.of(settings)
        if not orders["loop"]:
            delivery.run(database, settings, stop=stop, options=options)
            return
        while not stop.is_set():
            sweep(database, settings, stop, options)


def sweep(database: Database, settings: config.Settings, stop: threading.Event, options: delivery.Options) -> None:
    try:
        delivery.recover(database)
        delivery.run(database, settings, stop=stop, options=options)
    except Exception:  # a worker's sweep goes on, too
        log.warning("the sweep failed", exc_info=True)
    stop.wait(SWEEP_SECONDS)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(json.loads(sys.argv[1]))
