import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import ConfirmLink, Links, Reader
from newsletter.errors import BadToken

SECRET = b"a test key that is long enough to be accepted"
LINKS = Links("https://news.example.test/", SECRET)
IDS = st.integers(min_value=1, max_value=2**31)
INSTANT = dt.datetime(2026, 11, 27, 15, 0, 0, 123456, tzinfo=dt.UTC)


def _token(url):
    return url.rpartition("/")[2]


@given(IDS, IDS, IDS)
def test_a_link_opens_as_whom_it_was_made_for(publication_id, subscriber_id, send_id):
    reader = Reader(publication_id, subscriber_id, send_id)
    assert LINKS.open_leave(LINKS.leave_token(publication_id, subscriber_id, send_id)) == reader
    assert LINKS.open_preferences(LINKS.preferences_token(publication_id, subscriber_id, send_id)) == reader


def test_links_lie_where_the_contract_says():
    assert LINKS.leave_url(1, 2, 3) == f"https://news.example.test/u/{LINKS.leave_token(1, 2, 3)}"
    assert LINKS.preferences_url(1, 2, 3) == f"https://news.example.test/p/{LINKS.preferences_token(1, 2, 3)}"
    assert LINKS.confirm_url(1, INSTANT).startswith("https://news.example.test/confirm/")


def test_a_confirmation_keeps_its_instant_of_expiry():
    token = _token(LINKS.confirm_url(7, INSTANT))
    assert LINKS.open_confirm(token) == ConfirmLink(7, INSTANT)


@given(IDS, IDS, IDS)
def test_no_purpose_opens_as_another(publication_id, subscriber_id, send_id):
    leave = LINKS.leave_token(publication_id, subscriber_id, send_id)
    preferences = LINKS.preferences_token(publication_id, subscriber_id, send_id)
    confirm = _token(LINKS.confirm_url(subscriber_id, INSTANT))
    for opener, tokens in (
        (LINKS.open_leave, (preferences, confirm)),
        (LINKS.open_preferences, (leave, confirm)),
        (LINKS.open_confirm, (leave, preferences)),
    ):
        for token in tokens:
            with pytest.raises(BadToken):
                opener(token)


def test_another_installations_link_does_not_open():
    foreign = Links("https://news.example.test", b"another key that is just as long as the first")
    with pytest.raises(BadToken):
        LINKS.open_leave(foreign.leave_token(1, 2, 3))


def test_the_raw_numbers_are_no_link():
    for guess in ("1", "1-2-3", "AQID", ""):
        with pytest.raises(BadToken):
            LINKS.open_leave(guess)
