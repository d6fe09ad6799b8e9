"""Workers and beat as processes, with and without a broker."""

import signal
import time

import pytest
from factories.cli import broker as start_broker
from factories.cli import eventually

from newsletter import delivery
from newsletter.jobs import Waker
from newsletter.jobs.inspection import BrokerAway, living

READER = "ada@readers.example"
WORKER = ("-m", "newsletter", "worker", "--concurrency", "2")
BEAT = ("-m", "newsletter", "beat")

# A worker whose consumer falls silent on SIGUSR1, as after a broker's sudden death; patience cut to test's length.
STALLING = """
import signal
from celery import bootsteps
from newsletter.jobs import watchdog
watchdog.LOOK_EVERY, watchdog.PATIENCE = 0.2, 0.5
from newsletter.jobs.app import app
class Stall(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer:Tasks",)
    def start(self, consumer):
        signal.signal(signal.SIGUSR1, lambda *_: consumer.hub.call_soon(consumer.task_consumer.channel.connection
            .cycle.discard, consumer.task_consumer.channel))
app.steps["consumer"].add(Stall)
app.Worker(loglevel="INFO", quiet=True, concurrency=2, without_mingle=True, without_gossip=True).start()
"""


def _ready(process):
    eventually(lambda: "ready." in process.log.read_text())


def _complete(database, send_id):
    def look():
        with database.read() as session:
            return delivery.status(session, send_id).state is delivery.SendState.COMPLETE

    return look


def test_a_hint_makes_a_worker_send_at_once(start, broker, settings, due_send, mailbox, database):
    worker = start(*WORKER)
    _ready(worker)
    time.sleep(1)  # its first sweep is over; the next comes nine seconds later
    send = due_send()
    with Waker(settings) as waker:
        waker.send("deliver", send)
    mailbox.wait_for(READER, seconds=8)
    eventually(_complete(database, send))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert "Traceback" not in worker.log.read_text()


def test_without_a_broker_the_work_is_found_all_the_same(start, due_send, mailbox, database):
    send = due_send()
    worker = start(*WORKER)
    mailbox.wait_for(READER)
    eventually(_complete(database, send))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0


def test_a_worker_consumes_again_after_the_brokers_death(start, settings, due_send, mailbox, tmp_path):
    with start_broker(tmp_path) as first:
        worker = start(*WORKER)
        _ready(worker)
        first.kill()
        first.wait()
    eventually(lambda: "Connection to broker lost" in worker.log.read_text())
    with start_broker(tmp_path):
        eventually(lambda: worker.log.read_text().count("Connected to") == 2)
        send = due_send()
        with Waker(settings) as waker:
            waker.send("deliver", send)
        mailbox.wait_for(READER)


def test_a_consumer_that_fell_silent_is_connected_anew(start, broker, settings):
    worker = start("-c", STALLING)
    _ready(worker)
    worker.send_signal(signal.SIGUSR1)
    with Waker(settings) as waker:
        waker.send("notices")  # answers the question that is on the wire already
        waker.send("absorb")  # nobody asks for this one
        eventually(lambda: "hints wait in the broker and none arrives" in worker.log.read_text())
    eventually(lambda: worker.log.read_text().count("Connected to") == 2)


def test_beat_makes_workers_look_and_both_can_be_seen(start, broker, settings, due_send, mailbox):
    beats = [start(*BEAT), start(*BEAT)]
    worker = start(*WORKER)
    _ready(worker)
    due_send()
    mailbox.wait_for(READER)
    found = eventually(lambda: seen if (seen := living(settings)).beats and seen.workers else None)
    assert found.workers[0].startswith(f"worker-{worker.pid}@")
    assert found.beats[0].startswith("beat@")
    for beat in beats:
        beat.send_signal(signal.SIGTERM)
    assert [beat.wait(10) for beat in beats] == [0, 0]
    assert len(mailbox.to(READER)) == 1, "two beats send nothing twice"


def test_nobody_can_be_seen_without_a_broker(settings):
    with pytest.raises(BrokerAway):
        living(settings)


def test_celerys_own_command_runs_the_same_worker(start, broker, due_send, mailbox):
    due_send()
    worker = start("-m", "celery", "-A", "worker", "worker", "--concurrency", "2")
    mailbox.wait_for(READER)
    assert "2 (thread)" in worker.log.read_text(), "the pool is the one that the configuration chooses"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
