"""F8: a broker that forgets, dies, evicts, goes silent, or was never there; with the real Celery worker."""

import contextlib
import itertools
import subprocess
import threading
import time

import pytest
import redis
from crash.programs import program
from crash.proxy import Proxy
from factories import cli
from factories.delivery import scheduled, status

from newsletter import delivery
from newsletter.jobs import Waker

READERS = 400
FOUND_SECONDS = 15


class Broker:
    """The embedded broker of an installation behind a proxy, and what can happen to it."""

    def __init__(self, process: subprocess.Popen, proxy: Proxy) -> None:
        self.process, self.proxy = process, proxy
        self.client = redis.Redis(unix_socket_path=str(proxy.upstream))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flush, daemon=True)

    def close(self) -> None:
        self._over.set()
        if self._thread.ident:
            self._thread.join()
        self.client.close()

    def flush_every_second(self) -> None:
        self._thread.start()

    def _flush(self) -> None:
        while not self._over.wait(1.0):
            self.client.flushall()

    def die(self) -> None:
        self.process.kill()
        self.process.wait()

    def evict(self) -> None:
        """So little memory that every key goes as soon as it is written."""
        self.client.config_set("maxmemory-policy", "allkeys-lru")
        self.client.config_set("maxmemory", "1mb")
        with contextlib.suppress(redis.ResponseError):
            for number in itertools.count():
                self.client.set(f"ballast-{number}", b"x" * 10_000)
                if number > 300:
                    return

    def fall_silent(self) -> None:
        self.proxy.stall()

    def reset(self) -> None:
        self.proxy.refuse()
        self.proxy.reset()


FAULTS = {
    "is flushed every second": Broker.flush_every_second,
    "is killed": Broker.die,
    "evicts every key": Broker.evict,
    "goes silent": Broker.fall_silent,
    "resets and takes no connection": Broker.reset,
}


@pytest.fixture
def broker(tmp_path):
    with cli.broker(tmp_path) as process, Proxy(tmp_path / "valkey" / "valkey.sock") as proxy:
        made = Broker(process, proxy)
        yield made
        made.close()


@pytest.fixture
def work(trial, database, relay):
    """Runs a worker, shows that it works, lets the fault happen, and demands that a new send is found in time."""

    def check(fault=lambda: None, broker_url=""):
        first = scheduled(database, 0, addresses=("ana@example.org",))
        send = trial()
        settings = send.settings.model_copy(update={"broker_url": broker_url})
        with program(settings, "worker", "--concurrency", "2") as process:
            cli.eventually(lambda: status(database, first).state is delivery.SendState.COMPLETE)
            fault()
            relay.record.clear()
            send.send_id = scheduled(database, READERS)
            began = time.monotonic()
            with Waker(settings) as waker:
                waker.send("deliver", send.send_id)
            relay.wait_for(1, seconds=FOUND_SECONDS)
            print(f"found after {time.monotonic() - began:.1f} s")
            relay.wait_for(READERS)
            assert send.terminate(process) < 30
        assert send.settled().accepted == READERS

    return check


@pytest.mark.parametrize("fault", FAULTS)
def test_work_is_found_in_time_when_the_broker(work, broker, fault):
    work(lambda: FAULTS[fault](broker), broker_url=f"redis://127.0.0.1:{broker.proxy.port}/0")


def test_work_is_found_in_time_when_the_broker_was_never_there(work):
    work()
