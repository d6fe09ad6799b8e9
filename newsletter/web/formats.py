"""Counts and times as people read them.

Promise: pure functions of their arguments, in English, without HTML. Instants are
shown in the time zone that is given. (Dates and numbers in a reader's language
are the shared renderer's filters.)
"""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime

from newsletter.kit import clock

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def percent(part: float, whole: float) -> str:
    """3 of 8 -> "37.5 %"; a dash if there is no whole."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f} %" if share in (0, 100) else f"{share:.1f} %"


def plural(count: int, one: str, many: str = "") -> str:
    """(2, "story", "stories") -> "2 stories"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def when(instant: dt.datetime | None, zone_name: str = "UTC") -> str:
    """Return a local time such as "27 Nov 2026, 15:00"; a dash for no instant."""
    if instant is None:
        return "–"
    local = clock.local(instant, zone_name)
    return f"{local.day} {local:%b %Y, %H:%M}"


def iso(instant: dt.datetime) -> str:
    """Return the instant for a ``datetime`` attribute."""
    return instant.astimezone(dt.UTC).isoformat(timespec="seconds")


def rss_date(instant: dt.datetime) -> str:
    """Return the instant as feeds write it (RFC 5322)."""
    return format_datetime(instant.astimezone(dt.UTC))


def field_time(instant: dt.datetime, zone_name: str) -> str:
    """Return the instant for a ``datetime-local`` field that is read in ``zone_name``."""
    return clock.local(instant, zone_name).replace(tzinfo=None).isoformat(timespec="minutes")


def ago(instant: dt.datetime | None) -> str:
    """Return the distance from now, such as "3 minutes ago" or "in 2 hours"."""
    if instant is None:
        return "never"
    seconds = (clock.now() - instant).total_seconds()
    if abs(seconds) < MINUTE:
        return "just now"
    text = duration(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def duration(seconds: float) -> str:
    """Return a length of time in its largest fitting unit, such as "12 seconds" or "3 hours"."""
    for size, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= size:
            return plural(round(seconds / size), name)
    return plural(round(seconds), "second") if seconds >= 1 else "less than a second"


def is_ahead(instant: dt.datetime) -> bool:
    """Tell whether the instant is still to come."""
    return instant > clock.now()
