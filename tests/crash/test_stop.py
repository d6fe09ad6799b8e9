"""F2, F4: deploys in mid-send, and processes that were stopped for longer than their leases."""

import contextlib
import signal
import sqlite3
import time

import pytest
from crash.relay import OFFERS
from factories.delivery import status

from newsletter import delivery

READERS = 400


def freeze(send, process):
    """SIGSTOP, at a moment at which it does not hold SQLite's one lock: then everybody would wait for it."""
    while True:
        process.send_signal(signal.SIGSTOP)
        if send.database.dialect != "sqlite":
            return
        with contextlib.closing(sqlite3.connect(send.database.engine.url.database, timeout=0.2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
            else:
                connection.rollback()
                return


def test_deploys_in_mid_send_leave_nothing_uncertain(trial, relay):
    relay.pace = 0.01
    send = trial(READERS)
    for goal in (50, 120, 190):
        process = send.start(loop=True)
        relay.wait_for(goal)
        assert send.terminate(process) < 30
        found = status(send.database, send.send_id)
        assert (found.claimed, found.sending, found.uncertain) == (0, 0, 0)
    assert send.settled().accepted == READERS


def test_a_relay_that_is_late_during_a_deploy_is_waited_for(trial, relay):
    relay.pace = 2.0
    send = trial(READERS)
    process = send.start(loop=True)
    relay.wait_for(4)
    assert send.terminate(process) < 30
    relay.pace = 0
    assert send.settled().accepted == READERS


@pytest.mark.parametrize("offers", OFFERS)
def test_a_process_that_wakes_after_its_leases_ran_out_doubles_nobody(trial, relay, offers):
    relay.offers = OFFERS[offers]
    relay.pace = 0.01
    send = trial(READERS)
    zombie = send.start(loop=True)
    relay.wait_for(80)
    freeze(send, zombie)
    send.recover()
    other = send.start(loop=True)
    relay.wait_for(160)
    zombie.send_signal(signal.SIGCONT)
    relay.wait_for(READERS - 2 * send.connections)
    for process in (zombie, other):
        send.terminate(process)
    send.kills += 1  # as far as the others know
    found = send.settled()
    assert found.accepted + found.uncertain == READERS


def test_what_a_zombie_still_hears_from_the_relay_is_evidence(trial, relay):
    relay.pace = 1.0
    send = trial(READERS)
    zombie = send.start(loop=True)
    relay.wait_for(4)
    freeze(send, zombie)
    send.leases_run_out()
    delivery.recover(send.database)
    assert status(send.database, send.send_id).uncertain >= 4
    relay.pace = 0.0
    zombie.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + 30
    while status(send.database, send.send_id).uncertain > send.connections:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    send.terminate(zombie)
    send.kills += 1
    send.settled()
