import datetime as dt
import itertools
from dataclasses import replace

import pytest

from newsletter.delivery.models import PaceState
from newsletter.delivery.pace import limits
from newsletter.delivery.pace.limits import PaceRow
from newsletter.delivery.pace.warmup import DAYS, allowance

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def later(seconds):
    return NOON + seconds * SECOND


def taken(row, want, moment):
    """Take turns; return how many, and the row afterwards."""
    granted = limits.grant(row, want, moment)
    return granted.count, replace(row, **granted.values)


def test_what_nothing_holds_is_free():
    row = PaceRow("gmail")
    assert row.free(NOON)
    assert row.standing(NOON) is PaceState.FLOWING
    assert taken(row, 700, NOON) == (700, row)


@pytest.mark.parametrize("per_minute", [7, 60, 90, 600, 10_000])
def test_over_a_minute_a_limit_gives_out_what_it_says(per_minute):
    row, given = PaceRow("gmail", per_minute=per_minute), 0
    for tick in range(0, 600_000, 50):  # ten minutes, asked every 50 ms
        count, row = taken(row, 500, later(tick / 1000))
        given += count
    assert given == pytest.approx(per_minute * 10, rel=0.01, abs=1.01 + per_minute / 30)


def test_turns_come_a_second_at_a_time_and_unused_seconds_are_not_saved_up():
    row = PaceRow("gmail", per_minute=600)
    first, row = taken(row, 500, NOON)
    assert first == 10
    assert taken(row, 500, later(0.5))[0] == 0
    assert row.wait(later(0.5)) == pytest.approx(0.5)
    count, row = taken(row, 500, later(3600))
    again, row = taken(row, 500, later(3600))
    assert (count, again, taken(row, 500, later(3600.01))[0]) == (10, 10, 0)


def test_turns_that_came_back_are_given_out_again():
    row = PaceRow("gmail", per_minute=600)
    count, row = taken(row, 500, NOON)
    row = replace(row, **limits.refund(row, count, NOON))
    assert taken(row, 500, NOON)[0] == 10


def test_a_reply_halves_the_pace_and_it_grows_by_a_quarter_a_minute():
    row = PaceRow("gmail")
    row = replace(row, **limits.slower(row, 6000.0, NOON, "421 4.7.28 slow down"))
    assert (row.state, row.limit(NOON), row.since, row.reason) == (PaceState.SLOWED, 3000, NOON, "421 4.7.28 slow down")
    assert row.limit(later(60)) == pytest.approx(3750)
    assert row.standing(later(60)) is PaceState.SLOWED


def test_replies_within_ten_seconds_are_one_reply():
    row = PaceRow("gmail")
    row = replace(row, **limits.slower(row, 6000.0, NOON, "421"))
    assert limits.slower(row, 6000.0, later(9), "421") == {}
    again = replace(row, **limits.slower(row, 6000.0, later(11), "421"))
    assert again.limit(later(11)) == pytest.approx(1500, rel=0.05)
    assert again.since == NOON


def test_it_never_stops_for_a_421():
    row = PaceRow("gmail")
    for minute in range(40):
        row = replace(row, **limits.slower(row, 6000.0, later(15 * minute), "421"))
    assert row.limit(later(15 * 39)) == limits.FLOOR
    small = PaceRow("gmail", per_minute=3)
    assert replace(small, **limits.slower(small, 3.0, NOON, "421")).limit(NOON) == 3


def test_a_pace_that_has_recovered_needs_no_limit_or_the_one_that_was_set():
    row = PaceRow("gmail")
    row = replace(row, **limits.slower(row, 6000.0, NOON, "421"))
    assert not row.free(later(300))
    assert row.free(later(450))
    assert row.standing(later(450)) is PaceState.FLOWING
    limited = replace(row, per_minute=4000)
    assert limited.limit(NOON) == 3000
    assert limited.limit(later(120)) == 4000
    assert limited.standing(later(120)) is PaceState.FLOWING


def test_a_paused_pace_gives_out_a_probe_after_two_minutes_and_later_ones_more_rarely():
    row = PaceRow("gmail")
    row = replace(row, **limits.paused(row, 6000.0, NOON, "550 5.7.26"))
    assert row.closed(later(119))
    assert taken(row, 500, later(119))[0] == 0
    moment, waits = NOON, []
    for _ in range(7):
        waits.append((row.probe_at - moment).total_seconds())
        moment = row.probe_at
        count, row = taken(row, 500, moment)
        assert count == limits.PROBE
        assert row.closed(moment)
    assert waits == [120, 120, 240, 480, 960, 1800, 1800]


def test_a_pause_is_not_paused_again_and_not_slowed():
    row = PaceRow("gmail")
    row = replace(row, **limits.paused(row, 6000.0, NOON, "550 5.7.26"))
    assert limits.paused(row, 6000.0, later(60), "550 5.7.25") == {}
    assert limits.slower(row, 6000.0, later(60), "421") == {}


def test_after_a_probe_it_flows_slowly_and_without_a_limit_when_it_has_grown():
    row = PaceRow("gmail")
    assert limits.reopened(row, NOON) == {}
    row = replace(row, **limits.paused(row, 600.0, NOON, "550 5.7.26"))
    row = replace(row, **limits.reopened(row, later(120)))
    assert row.limit(later(120)) == 60
    assert "550 5.7.26" in row.reason
    assert row.free(later(120 + 15 * 60))


def test_a_person_lifts_everything_but_what_was_set():
    row = PaceRow("gmail", per_minute=500, warming_since=NOON.date(), day=NOON.date(), spent=50)
    held = replace(row, **limits.paused(row, 600.0, NOON, "550 5.7.26"))
    assert replace(held, **limits.released()) == row


def test_the_warm_up_begins_with_some_hundreds_and_ends_after_a_month():
    since = dt.date(2026, 11, 1)
    figures = [allowance(since, since + dt.timedelta(days=n)) for n in range(DAYS)]
    assert figures[0] == 200
    assert all(1.4 < after / before < 1.6 for before, after in itertools.pairwise(figures))
    assert 10_000 < figures[11] < 30_000
    assert allowance(since, since + dt.timedelta(days=DAYS)) is None
    assert allowance(since, since - dt.timedelta(days=1)) == 200
    assert allowance(None, since) is None


def test_a_day_of_the_warm_up_gives_out_its_figure_and_the_next_day_the_next():
    row = PaceRow("gmail", warming_since=NOON.date())
    assert not row.free(NOON)
    first, row = taken(row, 150, NOON)
    second, row = taken(row, 150, NOON)
    assert (first, second, row.left_today(NOON)) == (150, 50, 0)
    assert row.closed(NOON)
    tomorrow = NOON + dt.timedelta(days=1)
    assert row.left_today(tomorrow) == 300
    assert taken(row, 500, tomorrow)[0] == 300


def test_a_warm_up_and_a_limit_hold_together():
    row = PaceRow("gmail", per_minute=600, warming_since=NOON.date())
    count, row = taken(row, 500, NOON)
    assert (count, row.left_today(NOON), row.wait(NOON)) == (10, 190, 1.0)
    row = replace(row, **limits.refund(row, 4, NOON))
    assert row.left_today(NOON) == 194
