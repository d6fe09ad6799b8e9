"""One job at a time of each kind in a process, and no hint lost.

Promise: ``run`` does the job unless it is being done already in this process;
then it returns at once, and whoever does it looks once more when done. So a
hundred hints cost two looks, and the last look began after the last hint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class Once:
    """The jobs that run now, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again: dict[Hashable, bool] = {}  # what runs; whether it was asked for again meanwhile

    @property
    def busy(self) -> bool:
        """Whether any job is being done."""
        return bool(self._again)

    def run(self, key: Hashable, job: Callable[[], None]) -> bool:
        """Do ``job``, again as long as it is asked for; return False at once if it is being done already."""
        with self._lock:
            if key in self._again:
                self._again[key] = True
                return False
            self._again[key] = False
        while True:
            try:
                job()
            except BaseException:
                with self._lock:
                    del self._again[key]
                raise
            with self._lock:
                if not self._again[key]:
                    del self._again[key]
                    return True
                self._again[key] = False
