"""A database that is put back to a copy, with a real copy: SQLite's backup, PostgreSQL's TEMPLATE."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from factories.delivery import begun, scheduled, status
from sqlalchemy import text, update

from newsletter import delivery, issues
from newsletter.db import Database, session
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Delivery, DeliveryState, Restoration, Send, SendState
from newsletter.delivery.remember import FILE, Known, Memory, WentBack, check
from newsletter.delivery.restoration import PROBLEM
from newsletter.delivery.statements import Ticket
from newsletter.issues import IssueState


def run_until(database, settings, inbox, count):
    """Send to about so many readers, then stop as a deploy does."""
    stop = threading.Event()
    inbox.on_data = lambda _address: stop.set() if sum(inbox.received.values()) >= count else None
    delivery.run(database, settings, stop=stop)
    inbox.on_data = lambda _address: None


@pytest.fixture
def copy(databases, database):
    """Makes a copy now; what is returned puts the database back to it."""
    made = []

    def make():
        database.dispose()
        made.append(databases.copy(database.url))

        def put_back():
            database.dispose()
            databases.put_back(made[-1], database.url)

        return put_back

    yield make
    for url in made:
        databases.drop(url)


def test_a_backup_restored_in_mid_send_stops_the_send_and_mails_nobody_twice(database, relayed, inbox, copy):
    send_id = begun(database, relayed, 400)
    run_until(database, relayed, inbox, 50)
    put_back = copy()
    run_until(database, relayed, inbox, 200)
    before = inbox.received.copy()
    put_back()
    assert delivery.run(database, relayed) == delivery.RunSummary()
    found = status(database, send_id)
    assert (found.state, found.problem) == (SendState.PAUSED, PROBLEM)
    assert inbox.received == before


def test_a_person_resumes_once_and_the_rest_is_sent(database, relayed, inbox, copy):
    send_id = begun(database, relayed, 100)
    put_back = copy()
    run_until(database, relayed, inbox, 20)
    put_back()
    delivery.run(database, relayed)
    with database.transaction() as session:
        delivery.resume(session, send_id)
    delivery.run(database, relayed)
    delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"
    assert len(inbox.received) == 100
    with database.read() as session:
        assert session.query(Restoration).count() == 1


def test_a_send_that_was_due_in_the_backup_is_missed_instead_of_sent_a_second_time(database, relayed, inbox, copy):
    first = begun(database, relayed, 0, addresses=("ana@example.org",))
    second = scheduled(database, 0, addresses=("ben@example.org",))
    put_back = copy()
    delivery.run(database, relayed)
    assert inbox.accepted.total() == 2
    put_back()
    assert delivery.begin_due(database, relayed) == []
    assert (status(database, first).state, status(database, second).state) == (SendState.PAUSED, SendState.MISSED)
    assert status(database, second).problem == PROBLEM
    with database.read() as session:
        assert issues.get(session, status(database, second).issue).state is IssueState.MISSED
    delivery.run(database, relayed)
    assert inbox.accepted.total() == 2


def test_what_is_scheduled_for_later_stays_so(database, relayed, copy):
    begun(database, relayed, 5)
    later = scheduled(database, 0, addresses=("ben@example.org",))
    with database.transaction() as session:
        session.execute(update(Send).where(Send.id == later).values(send_at=text("'2099-01-01 00:00:00.000000'")))
    put_back = copy()
    delivery.run(database, relayed)
    put_back()
    delivery.run(database, relayed)
    assert status(database, later).state is SendState.SCHEDULED


def test_of_two_machines_that_remember_one_raises_the_alarm(database, relayed, inbox, copy, tmp_path):
    other = relayed.model_copy(update={"data_dir": tmp_path / "other"})
    send_id = begun(database, relayed, 200)
    put_back = copy()
    run_until(database, relayed, inbox, 20)
    run_until(database, other, inbox, 60)
    put_back()
    delivery.run(database, relayed)
    with database.transaction() as session:
        delivery.resume(session, send_id)
    before = inbox.received.total()
    delivery.run(database, other)
    assert inbox.received.total() > before
    assert status(database, send_id).summary == "complete"


def test_a_second_restoration_is_noticed_too(database, relayed, inbox, copy):
    send_id = begun(database, relayed, 200)
    put_back = copy()
    for _ in range(2):
        run_until(database, relayed, inbox, inbox.received.total() + 20)
        put_back()
        delivery.run(database, relayed)
        assert status(database, send_id).state is SendState.PAUSED
        with database.transaction() as session:
            delivery.resume(session, send_id)


def test_a_restart_without_a_restoration_goes_on(database, relayed, inbox):
    send_id = begun(database, relayed, 300)
    for count in (50, 100, 150):
        run_until(database, relayed, inbox, count)
    delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"
    assert max(inbox.received.values()) == 1


def test_a_new_machine_and_a_damaged_memory_know_nothing_and_send(database, relayed, inbox, settings):
    send_id = begun(database, relayed, 3)
    (settings.data_dir / FILE).write_text("{")
    delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"


def test_a_folder_that_cannot_be_written_costs_the_memory_and_nothing_else(database, relayed, tmp_path):
    (tmp_path / "file").write_text("")
    send_id = begun(database, relayed, 3)
    delivery.run(database, relayed.model_copy(update={"data_dir": tmp_path / "file"}))
    assert status(database, send_id).summary == "complete"


@pytest.fixture
def impatient(database_url, monkeypatch):
    """A database whose lock is not waited for: on SQLite the one way to lose a connection."""
    monkeypatch.setattr(session, "BUSY_TIMEOUT_MS", 50)
    made = Database(database_url)
    yield made
    made.dispose()


def lose_commits(database):
    """What a failover does that lost its last commits: the connections break, and the rows are older."""
    with database.connection() as connection:
        connection.execute(text("UPDATE deliveries SET state = 'pending', epoch = 0, owner = NULL, lease_until = NULL"))
        if database.dialect == "sqlite":
            time.sleep(1.0)
            return
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


def test_a_failover_that_lost_commits_stops_a_running_sender(database, impatient, relayed, inbox):
    send_id = begun(database, relayed, 6000)

    def lose():
        inbox.wait_for(100)
        lose_commits(database)

    with ThreadPoolExecutor(1) as beside:
        beside.submit(lose)
        assert delivery.run(impatient, relayed).problem == PROBLEM
    found = status(database, send_id)
    assert (found.state, found.problem) == (SendState.PAUSED, PROBLEM)
    received = inbox.received.copy()
    assert delivery.run(database, relayed) == delivery.RunSummary()
    assert inbox.received == received
    assert max(received.values()) == 1


def test_a_sender_that_the_database_has_forgotten_fails_at_its_next_sign_of_life(database, tmp_path):
    memory = Memory(tmp_path)
    memory.keep(Known(7, "a mark that no row has", 3, ""))
    failures = []

    async def go():
        ledger = Ledger(database, 7, granted=lambda *_: None, failed=failures.append, memory=memory)
        ledger.renew([])
        await asyncio.to_thread(ledger.close)
        await asyncio.sleep(0)

    uvloop.run(go())
    assert [type(failure) for failure in failures] == [WentBack]
    assert memory.known.renewals == 3


@pytest.mark.parametrize(
    ("noted", "epoch", "state", "fine"),
    [
        (DeliveryState.SENDING, 4, DeliveryState.SENDING, True),
        (DeliveryState.SENDING, 4, DeliveryState.UNCERTAIN, True),
        (DeliveryState.SENDING, 5, DeliveryState.PENDING, True),
        (DeliveryState.SENDING, 4, DeliveryState.CLAIMED, False),
        (DeliveryState.SENDING, 3, DeliveryState.PENDING, False),
        (DeliveryState.ACCEPTED, 4, DeliveryState.ACCEPTED, True),
        (DeliveryState.ACCEPTED, 4, DeliveryState.SENDING, False),
        (DeliveryState.PENDING, 4, DeliveryState.PENDING, True),
        (DeliveryState.PENDING, 4, DeliveryState.CLAIMED, False),
    ],
)
def test_a_delivery_may_have_gone_on_and_not_back(database, relayed, noted, epoch, state, fine):
    send_id = begun(database, relayed, 1)
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=state, epoch=epoch))
    with database.connection() as connection:
        if fine:
            check(connection, Ticket(send_id, 1, 4), noted)
        else:
            with pytest.raises(WentBack):
                check(connection, Ticket(send_id, 1, 4), noted)


def test_a_delivery_that_is_not_there_any_more_went_back(database):
    with database.connection() as connection, pytest.raises(WentBack):
        check(connection, Ticket(1, 1, 1), DeliveryState.ACCEPTED)
