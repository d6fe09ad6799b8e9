"""Hints that work is due, from a lower room to the background workers.

Promise: ``wake`` never raises and never waits long; a lost hint costs time, not
work, since the truth is always a row that a sweep will find. The sender of hints
is registered once per process by a door (``newsletter.jobs`` provides one);
without it a hint is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

Sender = Callable[[str, int], None]
_sender: Sender | None = None


def register(sender: Sender | None) -> None:
    """Set this process's sender of hints; ``None`` drops them."""
    global _sender  # noqa: PLW0603 - one per process is the point
    _sender = sender


def wake(topic: str, ident: int = 0) -> None:
    """Hint that there is work of kind ``topic`` on the row ``ident``.

    Call it after the commit that made the work visible (``Database.transaction``
    offers ``after_commit``); a worker that looks too early finds nothing.
    """
    if _sender is None:
        return
    try:
        _sender(topic, ident)
    except Exception as error:  # noqa: BLE001 - whatever the broker does, the row is safe
        log.warning("wake %s %s was lost: %s", topic, ident, error)
