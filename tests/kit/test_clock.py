import datetime as dt

import pytest

from newsletter.errors import Invalid
from newsletter.kit import clock


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe/London\0"])
def test_a_zone_that_does_not_exist_is_refused(name):
    with pytest.raises(Invalid, match="time zone"):
        clock.zone(name)


def test_a_time_without_an_offset_is_a_wall_clock_time_in_the_zone():
    assert clock.parse_instant("2026-07-03T15:00", zone_name="Europe/London") == dt.datetime(
        2026, 7, 3, 14, tzinfo=dt.UTC
    )
    assert clock.parse_instant("2026-07-03T15:00+02:00", zone_name="Asia/Tokyo").hour == 13


@pytest.mark.parametrize("text", ["", "friday", "2026-13-01T00:00", "15:00"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(Invalid, match="2026-11-27T15:00"):
        clock.parse_instant(text)
