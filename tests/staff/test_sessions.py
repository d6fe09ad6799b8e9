import datetime as dt
import threading

import pytest
from factories.staff import member
from sqlalchemy import select

from newsletter import staff
from newsletter.errors import BadToken
from newsletter.staff.models import LoginLink, StaffSession

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def test_a_link_signs_in_once(session):
    person = member(session)
    key = staff.login_link(session, person.id, now=NOW)
    assert staff.use_link(session, key, now=NOW + HOUR).id == person.id
    with pytest.raises(BadToken, match="used already"):
        staff.use_link(session, key, now=NOW + HOUR)


def test_a_link_lasts_24_hours(session):
    person = member(session)
    key = staff.login_link(session, person.id, now=NOW)
    with pytest.raises(BadToken):
        staff.use_link(session, key, now=NOW + DAY)
    staff.use_link(session, key, now=NOW + DAY - dt.timedelta(seconds=1))


def test_a_link_clicked_twice_at_once_works_for_one(database):
    with database.transaction() as session:
        key = staff.login_link(session, member(session).id)
    outcomes, barrier = [], threading.Barrier(4)

    def click():
        barrier.wait()
        try:
            with database.transaction() as session:
                staff.use_link(session, key)
            outcomes.append("in")
        except BadToken:
            outcomes.append("refused")

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "refused", "refused", "refused"]


@pytest.mark.parametrize("key", ["", "x", "../..", "é" * 50])
def test_an_invented_key_opens_nothing(session, key):
    member(session)
    with pytest.raises(BadToken):
        staff.use_link(session, key)
    assert staff.session_member(session, key) is None


def test_somebody_kept_out_cannot_use_a_link_or_a_session(session):
    person = member(session)
    staff.set_active(session, person.id, active=False)
    link, key = staff.login_link(session, person.id), staff.start(session, person.id)
    with pytest.raises(BadToken):
        staff.use_link(session, link)
    assert staff.session_member(session, key) is None


def test_the_database_holds_no_key(session):  # a stolen backup signs nobody in
    person = member(session)
    keys = {staff.login_link(session, person.id), staff.start(session, person.id)}
    kept = {*session.scalars(select(LoginLink.key_hash)), *session.scalars(select(StaffSession.key_hash))}
    assert not keys & kept
    assert all(len(value) == 64 for value in kept)


def test_a_session_slides_while_it_is_used_and_ends_14_days_after(session):
    person = member(session)
    key = staff.start(session, person.id, now=NOW)
    assert staff.session_member(session, key, now=NOW + 13 * DAY).id == person.id
    staff.keep_alive(session, key, now=NOW + 13 * DAY)
    assert staff.session_member(session, key, now=NOW + 26 * DAY).id == person.id
    assert staff.session_member(session, key, now=NOW + 27 * DAY) is None
    staff.keep_alive(session, key, now=NOW + 28 * DAY)
    assert staff.session_member(session, key, now=NOW + 28 * DAY) is None


def test_signing_out_ends_one_session(session):
    person = member(session)
    here, there = staff.start(session, person.id), staff.start(session, person.id)
    staff.sign_out(session, here)
    staff.sign_out(session, here)
    assert staff.session_member(session, here) is None
    assert staff.session_member(session, there).id == person.id


def test_old_sessions_are_cleared_away(session):
    person = member(session)
    staff.start(session, person.id, now=NOW - 30 * DAY)
    staff.start(session, person.id, now=NOW)
    assert len(session.scalars(select(StaffSession.id)).all()) == 1
