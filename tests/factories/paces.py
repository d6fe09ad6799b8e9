"""Paces for tests: how one stands, and time that passes for it in the database."""

from __future__ import annotations

import datetime as dt

from newsletter import delivery
from newsletter.db import Database
from newsletter.delivery.models import Pace


def pace(database: Database, name: str) -> delivery.PaceRow:
    """One pace as it stands."""
    with database.read() as session:
        (found,) = (row for row in delivery.every_pace(session) if row.name == name)
    return found


def age(database: Database, name: str, *, minutes: float = 0, days: int = 0) -> None:
    """Let time pass for a pace: everything it remembers happened so much earlier."""
    with database.transaction() as session:
        row = session.get_one(Pace, name)
        for column in ("slowed_at", "next_free", "since", "probe_at"):
            if (instant := getattr(row, column)) is not None:
                setattr(row, column, instant - dt.timedelta(days=days, minutes=minutes))
        for column in ("day", "warming_since"):
            if (day := getattr(row, column)) is not None:
                setattr(row, column, day - dt.timedelta(days=days))
