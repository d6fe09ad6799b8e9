"""How a send stands with each mailbox provider, and when it will be done.

Promise: pure functions of counts, paces and an instant. A finish that nobody can
know (a provider is paused) is None, and ``held`` says why; a warm-up's days and
every limit in force are reckoned with, as if this send had them to itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from newsletter.delivery.models import PaceState
from newsletter.delivery.pace.limits import MINUTE, PaceRow
from newsletter.delivery.pace.providers import Provider
from newsletter.delivery.pace.warmup import DAYS, allowance

DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """Deliveries of one send to one provider: all of them, those without an outcome, those of the last ``seconds``."""

    provider: Provider
    readers: int
    left: int
    recent: int


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One send at one mailbox provider. ``pace`` is deliveries a minute lately, ``limit`` the most that may go."""

    provider: Provider
    readers: int
    left: int
    pace: float
    limit: float | None
    left_today: int | None  # of the warm-up's figure; None: there is no warm-up
    state: PaceState
    reason: str  # what the provider said, if it slowed or paused us
    since: dt.datetime | None
    probe_at: dt.datetime | None  # when a paused provider is tried again
    finishes_at: dt.datetime | None  # None: done, or nobody knows

    @property
    def done(self) -> int:
        """How many have an outcome."""
        return self.readers - self.left

    @property
    def held(self) -> str:
        """Say in words why nothing goes to this provider now, if there is somebody left; else empty."""
        label = self.provider.label[0].upper() + self.provider.label[1:]
        if self.left and self.state is PaceState.PAUSED:
            verb = "refuse" if self.provider is Provider.OTHER else "refuses"
            return f"{label} {verb} us, so what is left for them waits: {self.reason}"
        if self.left and self.left_today == 0:
            return f"{label}: the day's figure of the warm-up is reached; it goes on tomorrow (UTC)."
        return ""


def lanes(
    counts: Sequence[LaneCounts], paces: Mapping[str, PaceRow], moment: dt.datetime, seconds: float, *, going: bool
) -> tuple[LaneStatus, ...]:
    """Return how a send stands with each provider it has readers at; finishes are estimated while it is ``going``."""
    rows = {one.provider: paces.get(one.provider.slug, PaceRow(one.provider.slug)) for one in counts}
    free = [one for one in counts if rows[one.provider].free(moment)]
    together = _together(free, moment, seconds)
    # Whatever a limit allows, the relays take no more than they have taken lately.
    moving = _together([one for one in counts if not rows[one.provider].closed(moment)], moment, seconds)
    found = []
    for one in counts:
        row, pace = rows[one.provider], one.recent * MINUTE / seconds
        end = together if one in free else _finish(row, one.left, pace, moment)
        if end and moving and not (one in free or row.closed(moment)):
            end = max(end, moving)
        found.append(_lane(one, row, pace, moment, end if going and one.left else None))
    return tuple(found)


def finish(found: Sequence[LaneStatus]) -> dt.datetime | None:
    """Return when the last lane with somebody left is done; None if none has, or one of them is not known."""
    times = [one.finishes_at for one in found if one.left]
    known = [one for one in times if one is not None]
    return max(known) if known and len(known) == len(times) else None


def _lane(
    one: LaneCounts, row: PaceRow, pace: float, moment: dt.datetime, finishes_at: dt.datetime | None
) -> LaneStatus:
    state = row.standing(moment)
    told: dict[str, Any] = {"reason": "", "since": None, "probe_at": None}
    if state is not PaceState.FLOWING:
        told = {"reason": row.reason, "since": row.since, "probe_at": row.probe_at}
    return LaneStatus(
        one.provider,
        one.readers,
        one.left,
        pace=pace,
        limit=row.limit(moment),
        left_today=row.left_today(moment),
        state=state,
        finishes_at=finishes_at,
        **told,
    )


def _finish(row: PaceRow, left: int, pace: float, moment: dt.datetime) -> dt.datetime | None:
    """Estimate one lane that something holds."""
    if row.state is PaceState.PAUSED:
        return None
    today = row.left_today(moment)
    day, start = moment.date(), moment
    for _ in range(DAYS if today is not None else 0):
        if today is None or left <= today:
            break
        left -= today
        day, start = day + DAY, dt.datetime.combine(day + DAY, dt.time(), dt.UTC)
        today = allowance(row.warming_since, day)
    return _after(start, left, row.limit(moment) or pace or float(left))


def _together(counts: Sequence[LaneCounts], moment: dt.datetime, seconds: float) -> dt.datetime | None:
    return _after(moment, sum(one.left for one in counts), sum(one.recent for one in counts) * MINUTE / seconds)


def _after(start: dt.datetime, left: int, per_minute: float) -> dt.datetime | None:
    if not left:
        return start
    return start + dt.timedelta(minutes=left / per_minute) if per_minute else None
