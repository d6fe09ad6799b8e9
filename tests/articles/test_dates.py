import datetime as dt

import pytest

from newsletter.articles.dates import instant, sane

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)


def test_dates_are_believed_between_the_first_web_page_and_tomorrow():
    assert sane(NOW, NOW) == NOW
    assert sane(NOW + dt.timedelta(hours=23), NOW) == NOW
    assert sane(NOW + dt.timedelta(hours=25), NOW) is None
    assert sane(dt.datetime(1, 1, 1, tzinfo=dt.UTC), NOW) is None
    assert sane(None, NOW) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T16:00:00+01:00", NOW),
        (" 2026-11-20T15:00:00Z ", NOW),
        ("2026-11-20 15:00", NOW),
        ("2026-11-20", NOW.replace(hour=0)),
        ("0001-01-01T00:00:00+14:00", None),
        ("Friday", None),
        ("", None),
    ],
)
def test_iso_dates_are_read_in_utc(text, expected):
    assert instant(text) == expected
