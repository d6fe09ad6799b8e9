"""F5, F6, F7: a database that dies, throws workers out, is locked, or is full, in mid-send."""

import resource
import time
from pathlib import Path

import pytest
from crash.cluster import Cluster
from crash.database import killed, locked
from fixtures.databases import CHOICE
from sqlalchemy import create_engine, text

READERS = 400


@pytest.fixture
def send(trial, relay):
    relay.pace = 0.01
    return trial(READERS)


def served_to_the_end(send, process):
    """Everybody; what was answered while the database was away was kept, so nobody is uncertain."""
    send.relay.wait_for(READERS, seconds=60)
    send.terminate(process)
    assert send.settled().accepted == READERS


if CHOICE == "sqlite":

    def test_a_file_that_somebody_else_locks_for_a_while_holds_the_send_up_and_nothing_else(send):
        process = send.start(loop=True)
        send.relay.wait_for(100)
        with locked(send.settings.database_url)():
            time.sleep(1.0)
            came = len(send.relay.record)
            time.sleep(2.0)
            assert len(send.relay.record) == came, "no body leaves without a durable intent"
        served_to_the_end(send, process)

    def test_a_disk_that_is_full_for_a_while_holds_the_send_up_and_nothing_else(send):
        process = send.start(loop=True)
        send.relay.wait_for(100)
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        wal = Path(f"{send.database.engine.url.database}-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (min(wal, 4096), before[1]))
        time.sleep(1.0)
        came = len(send.relay.record)
        time.sleep(2.0)
        assert len(send.relay.record) == came, "no body leaves without a durable intent"
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        served_to_the_end(send, process)

else:

    @pytest.fixture(scope="module")
    def cluster():
        with Cluster() as running:
            yield running

    @pytest.fixture
    def database_url(request, databases):
        """A server of its own for the tests that kill it."""
        if "cluster" in request.fixturenames:
            yield request.getfixturevalue("cluster").fresh_url()
            return
        url = databases.fresh_url()
        yield url
        databases.drop(url)

    @pytest.mark.parametrize("seconds", [0.0, 3.0])
    def test_a_database_server_that_is_killed_holds_the_send_up_and_nothing_else(cluster, send, seconds):
        process = send.start(loop=True)
        send.relay.wait_for(100)
        with killed(cluster)():
            time.sleep(seconds)
        served_to_the_end(send, process)

    def test_workers_that_are_thrown_out_come_back(send):
        process = send.start(loop=True)
        engine = create_engine(send.settings.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            others = text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            for goal in range(40, READERS, 40):
                send.relay.wait_for(goal)
                assert connection.execute(others).all()
        engine.dispose()
        served_to_the_end(send, process)

    FULL = """
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE UPDATE ON deliveries FOR EACH STATEMENT EXECUTE FUNCTION full_disk();
    """

    def test_a_disk_that_is_full_for_a_while_holds_the_send_up_and_nothing_else(send):
        """The server says what it says when a table cannot grow; the disk itself is not filled."""
        process = send.start(loop=True)
        send.relay.wait_for(100)
        engine = create_engine(send.settings.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(FULL))
            time.sleep(1.0)
            came = len(send.relay.record)
            time.sleep(2.0)
            assert len(send.relay.record) == came, "no body leaves without a durable intent"
            connection.execute(text("DROP FUNCTION full_disk CASCADE"))
        engine.dispose()
        served_to_the_end(send, process)
