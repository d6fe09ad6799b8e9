"""F12: workers whose wall clocks are wrong; leases, waits and schedules are told by the database."""

import datetime as dt
import os
import time

import pytest
from crash.relay import Fault
from factories.delivery import rows, status
from sqlalchemy import select, update

from newsletter import delivery
from newsletter.db import now
from newsletter.delivery.models import Delivery, DeliveryState, Send
from newsletter.delivery.statements import LEASE_SECONDS

READERS = 300
HOURS = {"an hour ahead": 1, "an hour behind": -1, "in another year": 24 * 365}


def leases(database):
    """The seconds that are left of every lease, by the database's clock."""
    with database.read() as session:
        moment = session.scalars(select(now())).one()
        until = session.scalars(select(Delivery.lease_until).where(Delivery.lease_until.is_not(None))).all()
    return [(one - moment).total_seconds() for one in until]


@pytest.mark.parametrize("clock", HOURS)
def test_leases_and_waits_do_not_depend_on_a_workers_clock(trial, relay, database, clock):
    relay.pace = 0.02
    greylisted = frozenset(f"reader{n}@example.org" for n in (1, 2, 3))
    relay.faults = [Fault("rcpt", "451 4.7.1 Greylisted", only=greylisted)]
    send = trial(READERS)
    wrong = send.start(loop=True, hours=HOURS[clock])
    right = send.start(loop=True)
    relay.wait_for(100)
    held = leases(database)
    assert held
    assert all(0 < seconds < LEASE_SECONDS + 5 for seconds in held)  # hours off if a worker's clock were asked
    relay.wait_for(READERS - 3)
    time.sleep(1)  # sweeps enough to send them again, had anybody's clock been asked
    waiting = rows(database, send.send_id)
    assert {waiting[one].state for one in greylisted} == {DeliveryState.DEFERRED}
    assert {waiting[one].attempt for one in greylisted} == {1}
    assert all(10 < (waiting[one].not_before - waiting[one].outcome_at).total_seconds() < 30 for one in greylisted)
    for process in (wrong, right):
        send.terminate(process)
    relay.faults = []
    assert send.settled().accepted == READERS


def test_a_send_that_is_scheduled_is_not_begun_early_by_a_worker_whose_clock_is_ahead(trial, database):
    send = trial(20, frozen=False)
    with database.transaction() as session:
        session.execute(update(Send).values(send_at=session.scalars(select(now())).one() + dt.timedelta(minutes=30)))
    assert send.start(hours=1).wait(60) == 0
    assert status(database, send.send_id).state is delivery.SendState.SCHEDULED
    with database.transaction() as session:
        session.execute(update(Send).values(send_at=now()))
    assert send.start(hours=-1).wait(60) == 0
    assert send.check().accepted == 20


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Europe/Dublin", "right/UTC"])
def test_a_workers_zone_changes_nothing(trial, database, monkeypatch, zone):
    """Fourteen hours ahead, a summer time that is below zero, a clock with leap seconds."""
    monkeypatch.setitem(os.environ, "TZ", zone)
    send = trial(20, frozen=False)
    assert send.start().wait(60) == 0
    assert send.check().accepted == 20
