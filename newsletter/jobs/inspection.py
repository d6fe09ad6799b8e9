"""Asks, through the broker, who is alive.

Promise: ``living`` returns the names of the workers and beats that answered
within a second and a half, or raises ``BrokerAway`` when there is no broker to
ask through. It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from newsletter.config import Settings
from newsletter.errors import NewsletterError
from newsletter.jobs.configuration import BEAT_NAME, configured

ANSWER_SECONDS: Final = 1.5


class BrokerAway(NewsletterError):
    """The broker cannot be reached; the message says why."""


@dataclass(frozen=True, slots=True)
class Living:
    """Who answered, as ``name@host``."""

    workers: tuple[str, ...]
    beats: tuple[str, ...]


def living(settings: Settings) -> Living:
    """Return which workers and beats answer."""
    app = configured(settings, hasty=True)
    connection: Any = app.connection_for_write()
    with connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2, reraise_as_library_errors=False)
        except connection.connection_errors as error:
            raise BrokerAway(str(error)) from error
        answers = app.control.ping(timeout=ANSWER_SECONDS, connection=connection) or []
    names = sorted(name for answer in answers for name in answer)
    beats = tuple(name for name in names if name.startswith(f"{BEAT_NAME}@"))
    return Living(tuple(name for name in names if name not in beats), beats)
