"""The arithmetic of a pace: what limit is in force, who may have how much now, what slowing and growing mean.

Promise: pure functions of one row of ``paces`` and an instant of the database's
clock, so that every worker reckons the same. Turns follow the generic cell rate
algorithm: one instant, ``next_free``, says from when on the next may go. Nothing
is read or written here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from newsletter.delivery.models import PaceState
from newsletter.delivery.pace.warmup import allowance

MINUTE: Final = 60.0
CREDIT: Final = dt.timedelta(seconds=1)  # of turns that nobody took in time: nobody looks at the exact moment
FLOOR: Final = 10.0  # a minute; slower is never asked for by a 421: it would never be seen to pass
SLOW_EVERY: Final = dt.timedelta(seconds=10)  # replies on their way when the pace changed say nothing new
GROWTH: Final = 1.25  # a minute
RELEASE: Final = 2.0  # times the pace that was too fast: from there on no limit is needed
AFTER_PAUSE: Final = 60.0  # a minute, growing, when a paused provider takes mail again
PROBE_SECONDS: Final = 120  # until the first probe of a pause; each waits twice as long as the one before
PROBE_LONGEST: Final = 1800
PROBE: Final = 5  # deliveries


@dataclass(frozen=True, slots=True)
class PaceRow:
    """One pace as it stands: of a mailbox provider (``gmail``) or of a relay (``relay:host:port``). Limits a minute.

    ``per_minute`` is what a person set, ``slowed_to`` what a reply made of it at
    ``slowed_at``. With ``warming_since`` each day has its figure; ``spent`` counts on ``day``.
    """

    name: str
    per_minute: int | None = None
    slowed_to: float | None = None
    ceiling: float = 0.0
    slowed_at: dt.datetime | None = None
    next_free: dt.datetime | None = None
    state: PaceState = PaceState.FLOWING
    reason: str = ""
    since: dt.datetime | None = None
    probe_at: dt.datetime | None = None
    probe_seconds: int = PROBE_SECONDS
    warming_since: dt.date | None = None
    day: dt.date | None = None
    spent: int = 0

    def slowed(self, moment: dt.datetime) -> float | None:
        """Return the limit that replies have led to, grown since; None when it has outgrown its use."""
        if self.slowed_to is None or self.slowed_at is None:
            return None
        minutes = max((moment - self.slowed_at).total_seconds(), 0.0) / MINUTE
        enough = self.ceiling * RELEASE if self.per_minute is None else float(self.per_minute)
        if self.slowed_to >= enough:
            return None
        grown = self.slowed_to * GROWTH ** min(minutes, 100.0)
        return grown if grown < enough else None

    def limit(self, moment: dt.datetime) -> float | None:
        """Return how many a minute may go, or None for any number."""
        limits = [one for one in (self.per_minute, self.slowed(moment)) if one is not None]
        return float(min(limits)) if limits else None

    def standing(self, moment: dt.datetime) -> PaceState:
        """Return its state now: a pace that has recovered flows, although nobody wrote it down."""
        if self.state is PaceState.SLOWED and self.slowed(moment) is None:
            return PaceState.FLOWING
        return self.state

    def left_today(self, moment: dt.datetime) -> int | None:
        """Return what the warm-up leaves of this day (UTC), or None if there is none."""
        figure = allowance(self.warming_since, moment.date())
        if figure is None:
            return None
        return max(figure - (self.spent if self.day == moment.date() else 0), 0)

    def free(self, moment: dt.datetime) -> bool:
        """Whether nothing at all holds it: no SQL is needed to use it."""
        paused = self.state is PaceState.PAUSED
        return not paused and self.limit(moment) is None and self.left_today(moment) is None

    def closed(self, moment: dt.datetime) -> bool:
        """Whether nothing may go for a long time: paused with no probe due, or the day's figure is reached."""
        if self.state is PaceState.PAUSED:
            return self.probe_at is None or self.probe_at > moment
        return self.left_today(moment) == 0

    def wait(self, moment: dt.datetime) -> float:
        """Return the seconds until the next turn; 0.0 if it is now."""
        return max((self.next_free - moment).total_seconds(), 0.0) if self.next_free else 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """``count`` deliveries may go; ``values`` are the columns that say so."""

    count: int
    values: dict[str, Any]


def grant(row: PaceRow, want: int, moment: dt.datetime) -> Grant:
    """Give out turns, at most a second's worth or one; a paused pace whose probe is due gives out the probe."""
    if row.closed(moment) or row.wait(moment) > 0 or want <= 0:
        return Grant(0, {})
    if row.state is PaceState.PAUSED:
        seconds = min(2 * row.probe_seconds, PROBE_LONGEST)
        again = moment + dt.timedelta(seconds=row.probe_seconds)
        return Grant(min(want, PROBE), {"probe_at": again, "probe_seconds": seconds})
    limit, left = row.limit(moment), row.left_today(moment)
    count = want if limit is None else min(want, max(int(limit / MINUTE), 1))
    count = count if left is None else min(count, left)
    return Grant(count, _spend(row, count, limit, moment))


def refund(row: PaceRow, count: int, moment: dt.datetime) -> dict[str, Any]:
    """Return the columns after ``count`` turns came back unused."""
    if row.state is PaceState.PAUSED:
        return {}
    return _spend(row, -count, row.limit(moment), moment)


def _spend(row: PaceRow, count: int, limit: float | None, moment: dt.datetime) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if limit is not None:
        base = max(row.next_free or moment, moment - CREDIT)
        values["next_free"] = base + dt.timedelta(seconds=count * MINUTE / limit)
    if row.left_today(moment) is not None:
        spent = row.spent if row.day == moment.date() else 0
        values |= {"day": moment.date(), "spent": max(spent + count, 0)}
    return values


def slower(row: PaceRow, observed: float, moment: dt.datetime, reason: str) -> dict[str, Any]:
    """Return the columns of a pace at half its speed; empty if it was slowed a moment ago or is paused.

    ``observed`` is the present speed a minute, used where no limit is in force.
    """
    recent = row.slowed_at is not None and moment - row.slowed_at < SLOW_EVERY
    if recent or row.state is PaceState.PAUSED:
        return {}
    again = row.slowed(moment) is not None
    before = row.limit(moment) or observed
    floor = FLOOR if row.per_minute is None else min(FLOOR, float(row.per_minute))
    return {
        "state": PaceState.SLOWED,
        "slowed_to": max(before / 2, floor),
        "slowed_at": moment,
        "ceiling": max(before, row.ceiling) if again else max(before, floor),
        "reason": reason,
        "since": row.since if again else moment,
    }


def paused(row: PaceRow, observed: float, moment: dt.datetime, reason: str) -> dict[str, Any]:
    """Return the columns of a pace that rests until its first probe; empty if it rests already."""
    if row.state is PaceState.PAUSED:
        return {}
    return {
        "state": PaceState.PAUSED,
        "ceiling": max(row.limit(moment) or observed, AFTER_PAUSE),
        "reason": reason,
        "since": moment,
        "probe_at": moment + dt.timedelta(seconds=PROBE_SECONDS),
        "probe_seconds": PROBE_SECONDS,
    }


def reopened(row: PaceRow, moment: dt.datetime) -> dict[str, Any]:
    """Return the columns of a pace whose probe was accepted: it flows, slowly at first; empty if it was not paused."""
    if row.state is not PaceState.PAUSED:
        return {}
    return {
        **released(),
        "state": PaceState.SLOWED,
        "slowed_to": AFTER_PAUSE,
        "slowed_at": moment,
        "ceiling": row.ceiling,
        "since": moment,
        "reason": f"it takes mail again; before that: {row.reason}",
    }


def released() -> dict[str, Any]:
    """Return the columns of a pace that nothing holds but what a person set."""
    fresh = PaceRow("")
    names = ("slowed_to", "ceiling", "slowed_at", "next_free", "state", "reason", "since", "probe_at", "probe_seconds")
    return {name: getattr(fresh, name) for name in names}
