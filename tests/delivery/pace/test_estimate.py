import datetime as dt

from newsletter.delivery.models import PaceState
from newsletter.delivery.pace import limits
from newsletter.delivery.pace.estimate import LaneCounts, finish, lanes
from newsletter.delivery.pace.limits import PaceRow
from newsletter.delivery.pace.providers import Provider

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def told(*counts, going=True, **paces):
    rows = {name: PaceRow(name, **fields) for name, fields in paces.items()}
    return lanes([LaneCounts(*one) for one in counts], rows, NOON, 20.0, going=going)


def test_lanes_that_nothing_holds_are_done_together():
    found = told((Provider.GMAIL, 1000, 600, 100), (Provider.OTHER, 500, 300, 50))
    assert [one.finishes_at for one in found] == [NOON + 2 * MINUTE] * 2
    assert finish(found) == NOON + 2 * MINUTE
    assert (found[0].done, found[0].pace, found[0].limit) == (400, 300, None)


def test_a_limit_decides_when_its_lane_is_done():
    found = told((Provider.GMAIL, 1000, 600, 0), (Provider.OTHER, 500, 300, 100), gmail={"per_minute": 20})
    assert [one.finishes_at for one in found] == [NOON + 30 * MINUTE, NOON + MINUTE]
    assert finish(found) == NOON + 30 * MINUTE


def test_a_limit_that_the_relays_do_not_reach_decides_nothing():
    (found,) = told((Provider.GMAIL, 1000, 600, 100), gmail={"per_minute": 100_000})
    assert found.finishes_at == NOON + 2 * MINUTE


def test_while_one_is_paused_nobody_knows():
    paused = limits.paused(PaceRow("gmail"), 600.0, NOON, "550 5.7.26 no")
    found = told((Provider.GMAIL, 1000, 600, 0), (Provider.OTHER, 500, 300, 100), gmail=paused)
    assert found[0].state is PaceState.PAUSED
    assert (found[0].finishes_at, finish(found)) == (None, None)
    assert found[0].held == "Gmail refuses us, so what is left for them waits: 550 5.7.26 no"
    assert found[1].held == ""


def test_a_paused_provider_with_nobody_left_is_in_nobodys_way():
    paused = limits.paused(PaceRow("gmail"), 600.0, NOON, "550 5.7.26 no")
    found = told((Provider.GMAIL, 1000, 0, 0), (Provider.OTHER, 500, 300, 100), gmail=paused)
    assert finish(found) == NOON + MINUTE
    assert found[0].held == ""


def test_the_days_of_a_warm_up_are_counted():
    warming = {"warming_since": NOON.date(), "day": NOON.date(), "spent": 200, "per_minute": 60}
    (found,) = told((Provider.GMAIL, 1000, 300 + 450 + 60, 0), gmail=warming)
    assert found.finishes_at == MIDNIGHT + dt.timedelta(days=2) + MINUTE
    assert found.left_today == 0
    assert found.held.startswith("Gmail: the day's figure of the warm-up is reached")


def test_what_does_not_move_has_no_finish():
    found = told((Provider.OTHER, 500, 300, 0))
    assert finish(found) is None
    assert finish(told((Provider.OTHER, 500, 0, 100))) is None
    assert finish(told((Provider.OTHER, 500, 300, 100), going=False)) is None


def test_other_providers_are_many():
    paused = limits.paused(PaceRow("other"), 600.0, NOON, "550 5.7.26 no")
    (found,) = told((Provider.OTHER, 500, 300, 0), other=paused)
    assert found.held.startswith("Other providers refuse us")
