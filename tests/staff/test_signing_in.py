import datetime as dt
import statistics
import time

import pytest
from factories.staff import PASSWORD, member
from sqlalchemy import func, select

from newsletter import staff
from newsletter.errors import Forbidden
from newsletter.staff.models import LoginAttempt
from newsletter.staff.signing_in import PER_ADDRESS, PER_NETWORK, WRONG

SECRET = b"a test key that is long enough to be accepted"
NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
EMAIL = "editor@meridian.example"


@pytest.fixture
def person(database):
    with database.transaction() as session:
        return member(session, EMAIL, password=PASSWORD)


def attempt(database, email=EMAIL, password="wrong", network="192.0.2.0/24", now=NOW):
    return staff.sign_in(database, email, password, network=network, secret=SECRET, now=now)


def test_the_right_password_opens_a_session(database, person):
    key = attempt(database, "Editor@Meridian.example", PASSWORD)
    with database.read() as session:
        assert staff.session_member(session, key, now=NOW).id == person.id


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong"), ("ghost@meridian.example", PASSWORD), ("no address", PASSWORD), ("", ""), (EMAIL, "x" * 10_000)],
)
def test_every_wrong_answer_reads_the_same(database, person, email, password):  # T10
    with pytest.raises(Forbidden) as refusal:
        attempt(database, email, password)
    assert refusal.value.message == WRONG


def test_somebody_without_a_password_or_kept_out_is_refused_alike(database, person):
    with database.transaction() as session:
        member(session, "new@meridian.example")
        staff.set_active(session, person.id, active=False)
    for email, password in (("new@meridian.example", ""), (EMAIL, PASSWORD)):
        with pytest.raises(Forbidden, match=WRONG):
            attempt(database, email, password)


def test_an_address_that_was_guessed_at_must_wait_an_hour(database, person):  # T12
    for n in range(PER_ADDRESS):
        with pytest.raises(Forbidden, match=WRONG):
            attempt(database, network=f"10.{n}.0.0/24")
    with pytest.raises(Forbidden, match="wait an hour"):
        attempt(database, password=PASSWORD, network="203.0.113.0/24")
    assert attempt(database, password=PASSWORD, now=NOW + dt.timedelta(minutes=61))


def test_a_network_that_tries_many_addresses_must_wait(database, person):  # T12
    for n in range(PER_NETWORK):
        with pytest.raises(Forbidden, match=WRONG):
            attempt(database, email=f"guess{n}@meridian.example", password="")
    with pytest.raises(Forbidden, match="wait an hour"):
        attempt(database, password=PASSWORD)
    assert attempt(database, password=PASSWORD, network="203.0.113.0/24")


def test_success_forgets_the_failures_of_the_address(database, person):
    for _ in range(PER_ADDRESS - 1):
        with pytest.raises(Forbidden):
            attempt(database)
    attempt(database, password=PASSWORD)
    with pytest.raises(Forbidden, match=WRONG):
        attempt(database)


def test_waiting_attempts_are_not_counted_and_old_ones_are_thrown_away(database, person):
    for _ in range(PER_ADDRESS + 5):
        with pytest.raises(Forbidden):
            attempt(database)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LoginAttempt)) == 2 * PER_ADDRESS
    attempt(database, password=PASSWORD, now=NOW + dt.timedelta(hours=2))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LoginAttempt)) == 0


def test_attempts_name_neither_address_nor_network(database, person):
    with pytest.raises(Forbidden):
        attempt(database)
    with database.read() as session:
        keys = session.scalars(select(LoginAttempt.key)).all()
    assert all(EMAIL not in key and "192.0.2" not in key for key in keys)


def test_an_unknown_address_takes_as_long_as_a_wrong_password(database, person):  # T10
    def seconds(email):
        started = time.process_time()
        with pytest.raises(Forbidden, match=WRONG):
            attempt(database, email=email, network=email)
        return time.process_time() - started

    seconds("warm@meridian.example")
    known = statistics.median(seconds(EMAIL) for _ in range(7))
    unknown = statistics.median(seconds(f"ghost{n}@meridian.example") for n in range(7))
    assert unknown > known / 2  # without the work for nobody it would be a tenth
