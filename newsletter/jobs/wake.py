"""Sends hints to the workers, without making anybody wait.

Promise: ``send`` returns at once, whatever the broker does; equal hints that come
together become one; when the broker is away hints are dropped (workers find the
work by themselves) and one line in a minute says so. ``close`` gives what is
still waiting two seconds to leave.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final, Self

from newsletter.config import Settings
from newsletter.jobs.configuration import HINT_EXPIRES, QUEUE, configured
from newsletter.kit import wake

log = logging.getLogger(__name__)

GATHER: Final = 0.02  # seconds in which equal hints become one
CLOSE_SECONDS: Final = 2.0
COMPLAIN_EVERY: Final = 60.0


class Waker:
    """This process's sender of hints; a context manager that registers it with ``kit.wake``."""

    def __init__(self, settings: Settings) -> None:
        self._app = configured(settings, hasty=True)
        self._changed = threading.Condition()
        self._hints: dict[tuple[str, int], None] = {}  # a set that keeps the order
        self._closing = False
        self._thread: threading.Thread | None = None
        self._complained = -COMPLAIN_EVERY

    def __enter__(self) -> Self:
        """Register ``send`` for this process."""
        wake.register(self.send)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Unregister and close."""
        wake.register(None)
        self.close()

    def send(self, topic: str, ident: int = 0) -> None:
        """Hint that there is work of kind ``topic`` on the row ``ident``; returns at once."""
        with self._changed:
            if self._closing:
                return
            self._hints[topic, ident] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish_all, name="wake", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Let the waiting hints leave, for two seconds at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _publish_all(self) -> None:
        while True:
            with self._changed:
                while not self._hints and not self._closing:
                    self._changed.wait()
                hints, self._hints = self._hints, {}
                closing = self._closing
            for topic, ident in hints:
                self._publish(topic, ident)
            if closing:
                self._app.close()
                return
            time.sleep(GATHER)

    def _publish(self, topic: str, ident: int) -> None:
        try:
            self._app.send_task(topic, (ident,), queue=QUEUE, expires=HINT_EXPIRES, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever the broker does, the row is safe
            if time.monotonic() - self._complained >= COMPLAIN_EVERY:
                self._complained = time.monotonic()
                log.warning("the broker is away (%s); workers find the work by themselves", error)
