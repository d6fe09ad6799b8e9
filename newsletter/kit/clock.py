"""The one place that reads the wall clock.

Promise: every instant in the program is an aware ``datetime`` in UTC and comes
from here or from the database. The ledger does not use this module: its time is
the database's (see ``newsletter.db.now``).
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from newsletter.errors import Invalid


def now() -> dt.datetime:
    """Return the present instant, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone ``name`` or raise ``Invalid``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"“{name}” is no time zone; use an IANA name such as Europe/London or America/New_York."
        raise Invalid(message, field="timezone") from error


def local(instant: dt.datetime, zone_name: str) -> dt.datetime:
    """Return ``instant`` as a wall-clock time in ``zone_name``."""
    return instant.astimezone(zone(zone_name))


def parse_instant(text: str, *, zone_name: str = "UTC") -> dt.datetime:
    """Read an ISO 8601 instant; without an offset it is a wall-clock time in ``zone_name``."""
    try:
        value = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = f"“{text}” is no date and time; write it like 2026-11-27T15:00 or 2026-11-27T15:00+00:00."
        raise Invalid(message, field="at") from error
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone(zone_name))
    return value.astimezone(dt.UTC)
