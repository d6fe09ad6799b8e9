import base64
import json
import time

import pytest
import redis

from newsletter import config
from newsletter.jobs import Waker
from newsletter.jobs.configuration import QUEUE
from newsletter.kit import wake


@pytest.fixture
def queue(broker, tmp_path):
    """The hints that wait in the broker, oldest first, as (task, id)."""
    client = redis.Redis(unix_socket_path=str(tmp_path / "valkey" / "valkey.sock"))

    def waiting():
        messages = [json.loads(raw) for raw in reversed(client.lrange(QUEUE, 0, -1))]
        return [(message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0]) for message in messages]

    yield waiting
    client.close()


@pytest.fixture
def alone(tmp_path):
    """Settings that name no database: sending a hint needs none."""
    return config.load(data_dir=tmp_path, secret_key="a test key that is long enough to be accepted")


def test_a_hint_becomes_a_task_of_its_topic(queue, alone):
    with Waker(alone):
        wake.wake("collect", 7)
        wake.wake("deliver", 3)
    assert queue() == [("collect", [7]), ("deliver", [3])]


def test_outside_its_block_the_waker_is_not_asked(queue, alone):
    with Waker(alone):
        pass
    wake.wake("collect", 7)
    assert queue() == []


def test_equal_hints_that_come_together_become_one(queue, alone):
    with Waker(alone):
        for _ in range(500):
            wake.wake("notices")
    assert 1 <= len(queue()) <= 20


def test_hints_expire_so_that_a_worker_finds_no_old_heap(queue, alone, broker, tmp_path):
    with Waker(alone):
        wake.wake("notices")
    client = redis.Redis(unix_socket_path=str(tmp_path / "valkey" / "valkey.sock"))
    (raw,) = client.lrange(QUEUE, 0, -1)
    client.close()
    assert json.loads(raw)["headers"]["expires"]


def test_without_a_broker_nobody_waits_and_one_line_says_so(alone, caplog):
    began = time.monotonic()
    with Waker(alone):
        for ident in range(100):
            wake.wake("deliver", ident)
        assert time.monotonic() - began < 0.2, "the caller is not held up"
    assert time.monotonic() - began < 3
    assert [record.levelname for record in caplog.records if "broker is away" in record.message] == ["WARNING"]


def test_a_broker_that_comes_back_is_used_again(alone, tmp_path):
    from factories.cli import broker, eventually

    with Waker(alone):
        with broker(tmp_path):
            wake.wake("deliver", 1)
            time.sleep(0.3)
        wake.wake("deliver", 2)  # lost
        time.sleep(0.3)
        with broker(tmp_path):
            client = redis.Redis(unix_socket_path=str(tmp_path / "valkey" / "valkey.sock"))
            client.delete(QUEUE)
            wake.wake("deliver", 3)
            eventually(lambda: client.llen(QUEUE) == 1, seconds=5)
            client.close()
