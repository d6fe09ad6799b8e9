"""The dates that sources claim.

Promise: what comes out is an aware instant in UTC at which a story can have
appeared, or None. Nothing is guessed: a missing date stays missing.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

_EARLIEST: Final = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)  # there was no web page before
_CLOCK_ERROR: Final = dt.timedelta(days=1)


def instant(text: str) -> dt.datetime | None:
    """Read an ISO 8601 date and time; one without an offset is taken as UTC."""
    try:
        value = dt.datetime.fromisoformat(text.strip())
        return value.replace(tzinfo=value.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def sane(claimed: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """Return ``claimed`` if it can be true; a clock that is fast by up to a day means now."""
    if claimed is None or not _EARLIEST <= claimed <= now + _CLOCK_ERROR:
        return None
    return min(claimed, now)
