import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from factories.delivery import Inbox, begun, status, with_relay
from sqlalchemy import text

from newsletter import delivery
from newsletter.delivery.changes import INTENT, RELEASE_CLAIM, RELEASE_INTENT, of_outcome
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.statements import Ticket
from newsletter.delivery.transports.outcomes import Accepted, Reply
from newsletter.kit import smtpd

ME, OTHER = 7, 8
ACCEPTED = of_outcome(
    Accepted(Reply(250, "2.0.0 Ok")), attempt=1, relay="mx:25", window_left=1e6, patience=delivery.Patience()
)


class Desk:
    """A ledger and what it said."""

    def __init__(self, database, owner=ME):
        self.granted, self.lost, self.failures = [], [], []
        self.ledger = Ledger(database, owner, granted=self._granted, failed=self.failures.append)

    def _granted(self, granted, lost):
        self.granted += granted
        self.lost += lost

    async def claim(self, send_id, limit=100, after=0):
        return [Ticket(send_id, one.seq, one.epoch) for one in await self.ledger.claim(send_id, after, limit)]

    async def until(self, condition):
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what is waited for are plain facts
                await asyncio.sleep(0.005)


@pytest.fixture
def send_id(database, settings):
    return begun(database, settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)}), 500)


def test_claims_walk_the_key_and_no_row_is_given_twice(database, send_id):
    async def go():
        one, two = Desk(database, ME), Desk(database, OTHER)
        first = await one.claim(send_id)
        second = await two.claim(send_id)
        third = await one.claim(send_id, after=first[-1].seq, limit=1000)
        for desk in (one, two):
            await asyncio.to_thread(desk.ledger.close)
        return first, second, third

    first, second, third = uvloop.run(go())
    assert [ticket.seq for ticket in first] == list(range(1, 101))
    assert [ticket.seq for ticket in second] == list(range(101, 201))
    assert [ticket.seq for ticket in third] == list(range(201, 501))


def test_intents_are_granted_once_durable_and_gathered_into_few_commits(database, send_id):
    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=500)
        for ticket in tickets:
            desk.ledger.record(ticket, INTENT)
        await desk.until(lambda: len(desk.granted) == 500)
        assert status(database, send_id).sending == 500
        for ticket in tickets:
            desk.ledger.record(ticket, ACCEPTED)
        await asyncio.to_thread(desk.ledger.close)
        return desk, tickets

    desk, tickets = uvloop.run(go())
    assert desk.granted == tickets
    assert not desk.lost
    assert desk.ledger.commits < 100
    assert status(database, send_id).accepted == 500


def test_an_intent_for_what_belongs_to_somebody_else_is_lost(database, send_id):
    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=10)
        with database.transaction() as session:
            delivery.pause(session, send_id)
        assert await desk.claim(send_id) == []
        for ticket in tickets:
            desk.ledger.record(ticket, INTENT)
        await desk.until(lambda: desk.lost)
        await asyncio.to_thread(desk.ledger.close)
        return desk, tickets

    desk, tickets = uvloop.run(go())
    assert desk.lost == tickets
    assert not desk.granted
    assert status(database, send_id).pending == 500


def test_what_is_given_back_is_as_if_it_had_never_been_taken(database, send_id):
    async def go():
        desk = Desk(database)
        claimed, intended = (await desk.claim(send_id, limit=1))[0], (await desk.claim(send_id, limit=1))[0]
        desk.ledger.record(intended, INTENT)
        desk.ledger.record(claimed, RELEASE_CLAIM)
        await desk.until(lambda: desk.granted)
        desk.ledger.record(intended, RELEASE_INTENT)
        await asyncio.to_thread(desk.ledger.close)

    uvloop.run(go())
    assert status(database, send_id).pending == 500
    with database.read() as session:
        assert {delivery.recipient_of(session, send_id, seq).attempt for seq in (1, 2)} == {0}


def test_leases_are_renewed(database, send_id):
    with database.read() as session:
        lease = text(f"SELECT lease_until FROM deliveries WHERE send_id = {send_id} AND seq = 1")

        async def go():
            desk = Desk(database)
            (ticket,) = await desk.claim(send_id, limit=1)
            before = session.execute(lease).scalar_one()
            session.rollback()
            await asyncio.sleep(0.05)
            desk.ledger.renew([ticket])
            await asyncio.to_thread(desk.ledger.close)
            return before

        assert uvloop.run(go()) < session.execute(lease).scalar_one()


def cut(database):
    """Take the database away for a moment: its connections are cut, or, on SQLite, somebody holds its lock."""
    if database.dialect == "sqlite":
        with database.connection():
            time.sleep(0.1)
        return
    others = "pid <> pg_backend_pid() AND datname = current_database() AND application_name = ''"
    with database.connection() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


def test_while_the_database_is_away_nothing_is_granted_and_nothing_is_forgotten(database, send_id):
    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=200)
        for ticket in tickets[:100]:
            desk.ledger.record(ticket, INTENT)
        await desk.until(lambda: len(desk.granted) == 100)
        await asyncio.to_thread(cut, database)
        for ticket in tickets[:100]:
            desk.ledger.record(ticket, ACCEPTED)
        for ticket in tickets[100:]:
            desk.ledger.record(ticket, INTENT)
        await desk.until(lambda: len(desk.granted) == 200)
        await asyncio.to_thread(desk.ledger.close)
        assert not desk.failures

    uvloop.run(go())
    found = status(database, send_id)
    assert (found.accepted, found.sending) == (100, 100)


def test_a_commit_whose_answer_was_lost_is_written_again_without_harm(database, send_id):
    from newsletter.delivery import statements

    with database.connection() as connection:
        tickets = [Ticket(send_id, one.seq, one.epoch) for one in statements.claim(connection, ME, send_id, 0, 3)]
        for _ in range(2):
            assert statements.write(connection, ME, [(ticket, INTENT) for ticket in tickets]) == 3
        assert statements.write(connection, ME, [(ticket, ACCEPTED) for ticket in tickets]) == 3
        assert statements.write(connection, ME, [(ticket, ACCEPTED) for ticket in tickets]) == 0
        assert statements.write(connection, ME, [(ticket, INTENT) for ticket in tickets]) == 0
    with database.read() as session:
        assert delivery.recipient_of(session, send_id, 1).attempt == 1


def test_a_database_that_comes_and_goes_in_mid_send_costs_nobody_anything(database, settings):
    inbox = Inbox()
    over = threading.Event()
    with smtpd.Server(inbox) as server, ThreadPoolExecutor(1) as beside:
        relayed = with_relay(settings, server)
        send_id = begun(database, relayed, 1500)

        def cutting():
            inbox.wait_for(50)
            pause = 0.2
            while not over.wait(pause):
                cut(database)
                pause *= 1.2  # on a busy machine a new connection may need longer than the first pauses

        cuts = beside.submit(cutting)
        delivery.run(database, relayed)
        over.set()
        cuts.result(timeout=30)
        delivery.run(database, relayed)
    assert inbox.received == {f"reader{n}@example.org": 1 for n in range(1, 1501)}
    assert status(database, send_id).summary == "complete"


def test_a_ledger_that_cannot_write_at_all_gives_up_when_it_is_closed(database, send_id, monkeypatch):
    monkeypatch.setattr("newsletter.delivery.ledger.LAST_TRIES", 0.2)

    async def go():
        desk = Desk(database)
        (ticket,) = await desk.claim(send_id, limit=1)
        with database.connection() as connection:
            connection.execute(text("ALTER TABLE deliveries RENAME TO elsewhere"))
        desk.ledger.record(ticket, INTENT)
        await asyncio.to_thread(desk.ledger.close)
        await desk.until(lambda: desk.failures)
        with database.connection() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO deliveries"))
        return desk

    assert not uvloop.run(go()).granted
    assert status(database, send_id).claimed == 1
