"""F1, F3: processes that end without a word, at every step of a delivery."""

import random
import signal

import pytest
from crash.points import POINTS
from crash.relay import OFFERS
from factories.delivery import status

from newsletter import delivery

READERS = 300
NTH = {"during the freeze": 1, "before anything is claimed": 1, "before the send is ended": 1, "after a claim": 2}


@pytest.mark.parametrize("point", POINTS)
def test_nobody_is_lost_or_doubled_by_a_kill(trial, point):
    send = trial(READERS, frozen=point != "during the freeze")
    send.killed(send.start(point=point, nth=NTH.get(point, 5)))
    found = send.settled()
    assert found.accepted + found.uncertain == READERS


def test_a_kill_during_the_freeze_leaves_the_send_scheduled_and_nothing_else(trial, database):
    send = trial(50, frozen=False)
    send.killed(send.start(point="during the freeze"))
    found = status(database, send.send_id)
    assert (found.state, found.audience, found.pending) == (delivery.SendState.SCHEDULED, 0, 0)
    assert send.settled().accepted == 50


@pytest.mark.parametrize("offers", OFFERS)
def test_a_body_whose_reply_was_never_sent_is_uncertain(trial, relay, offers):
    relay.offers = OFFERS[offers]
    send = trial(READERS)
    process = send.start()
    relay.on_body = lambda count: count == 100 and process.send_signal(signal.SIGKILL)
    send.killed(process)
    found = send.settled()
    assert found.uncertain >= 1
    assert found.accepted + found.uncertain == READERS


def test_a_body_whose_reply_was_on_its_way_is_uncertain(trial, relay):
    send = trial(READERS)
    process = send.start()
    relay.on_body = lambda count: count == 100 and process.send_signal(signal.SIGSTOP)
    relay.wait_for(100)
    send.kill(process)
    found = send.settled()
    assert found.uncertain >= 1
    assert found.accepted + found.uncertain == READERS


@pytest.mark.parametrize("offers", OFFERS)
def test_kills_at_any_moment_one_after_the_other(trial, relay, offers):
    relay.offers = OFFERS[offers]
    send = trial(1200)
    for _ in range(3):
        already = len(relay.record)
        process = send.start()
        relay.wait_for(already + random.randint(1, 250))
        send.kill(process)
        send.recover()
    found = send.settled()
    assert found.accepted + found.uncertain == 1200


def test_two_workers_go_on_when_a_third_is_killed(trial, relay):
    relay.pace = 0.01
    send = trial(600)
    victim, *others = (send.start(loop=True) for _ in range(3))
    relay.wait_for(150)
    send.kill(victim)
    relay.wait_for(500)
    for process in others:
        send.terminate(process)
    send.settled()


def test_a_killed_process_stays_among_the_senders_with_its_last_sign_of_life(trial, relay, database):
    send = trial(500)
    process = send.start()
    relay.wait_for(10)
    send.kill(process)
    with database.read() as session:
        (row,) = delivery.senders(session)
    assert row.pid == process.pid


@pytest.mark.parametrize("point", [point for point in POINTS if point != "before anything is claimed"])
def test_a_process_that_runs_out_of_memory_ends_and_loses_and_doubles_nobody(trial, point):
    """What Python does then; what the kernel does when it has none left is SIGKILL, as above."""
    send = trial(READERS, frozen=point != "during the freeze")
    process = send.start(point=point, nth=NTH.get(point, 5), memory=True)
    assert process.wait(60) == 1
    send.kills += 1
    found = send.settled()
    assert found.accepted + found.uncertain == READERS
