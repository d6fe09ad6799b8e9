import datetime as dt

import pytest
import time_machine

from newsletter.web import formats

NOON = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(3, 8, "37.5 %"), (0, 8, "0 %"), (8, 8, "100 %"), (1, 0, "–"), (1, 3000, "0.0 %")]
)
def test_a_share_is_a_percentage_or_a_dash(part, whole, text):
    assert formats.percent(part, whole) == text


def test_one_is_singular():
    assert formats.plural(1, "story", "stories") == "1 story"
    assert formats.plural(0, "story", "stories") == "0 stories"
    assert formats.plural(25_000, "reader") == "25,000 readers"


def test_an_instant_is_shown_in_the_zone_that_is_given():
    assert formats.when(NOON, "America/New_York") == "27 Nov 2026, 07:00"
    assert formats.when(None) == "–"
    assert formats.field_time(NOON, "Europe/Lisbon") == "2026-11-27T12:00"


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (dt.timedelta(seconds=20), "just now"),
        (dt.timedelta(minutes=3), "3 minutes ago"),
        (dt.timedelta(minutes=-90), "in 2 hours"),
        (dt.timedelta(days=2), "2 days ago"),
    ],
)
def test_the_distance_from_now_is_told_in_the_largest_unit(delta, text):
    with time_machine.travel(NOON, tick=False):
        assert formats.ago(NOON - delta) == text


def test_no_instant_is_never():
    assert formats.ago(None) == "never"


def test_feeds_get_their_own_form_of_date():
    assert formats.rss_date(NOON) == "Fri, 27 Nov 2026 12:00:00 +0000"
