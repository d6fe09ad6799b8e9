import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from factories.delivery import Inbox, begun, status, with_relay
from simulation.faults import Faults
from sqlalchemy import event, select, text, update

from newsletter import delivery
from newsletter.delivery.changes import INTENT, RELEASE_CLAIM, RELEASE_INTENT, of_outcome
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Delivery, DeliveryState, SenderProcess
from newsletter.delivery.remember import Known, Memory, WentBack
from newsletter.delivery.statements import Ticket
from newsletter.delivery.transports.outcomes import Accepted, Reply
from newsletter.kit import clock, smtpd

ME, OTHER = 7, 8
ACCEPTED = of_outcome(
    Accepted(Reply(250, "2.0.0 Ok")), attempt=1, relay="mx:25", window_left=1e6, patience=delivery.Patience()
)


class Desk:
    """A ledger and what it said."""

    def __init__(self, database, owner=ME, memory=None):
        self.granted, self.lost, self.failures, self.sizes, self.renewed = [], [], [], [], []
        self.ledger = Ledger(
            database, owner, granted=self._granted, failed=self.failures.append, renewed=self._renewed, memory=memory
        )

    def _granted(self, granted, lost):
        self.granted += granted
        self.lost += lost
        self.sizes.append(len(granted))

    def _renewed(self, tickets, since):
        self.renewed.append((tickets, since))

    async def close(self):
        await asyncio.to_thread(self.ledger.close)
        await asyncio.sleep(0)  # what it told last is heard

    async def claim(self, send_id, limit=100, after=0):
        return [Ticket(send_id, one.seq, one.epoch) for one in await self.ledger.claim(send_id, after, limit)]

    async def until(self, condition):
        async with asyncio.timeout(10):
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


@contextlib.contextmanager
def locked(database, send_id):
    """Nobody else can write the first row meanwhile."""
    with database.transaction() as session:
        row = (Delivery.send_id == send_id, Delivery.seq == 1)
        session.execute(update(Delivery).where(*row).values(lane=Delivery.lane))
        yield


@pytest.mark.parametrize(("most", "sizes"), [(2000, range(5, 8)), (2, range(1, 3))])
def test_what_is_asked_for_while_a_commit_runs_goes_into_the_next_one_up_to_a_number(
    database, send_id, monkeypatch, most, sizes
):
    monkeypatch.setattr("newsletter.delivery.ledger.MOST_ROWS", most)

    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=7)
        with locked(database, send_id):
            for ticket in tickets:
                desk.ledger.record(ticket, INTENT)
            await asyncio.sleep(0.05)
        await desk.close()
        return desk, tickets

    desk, tickets = uvloop.run(go())
    assert desk.granted == tickets
    assert max(desk.sizes) in sizes
    assert desk.ledger.commits - len(desk.sizes) in (1, 2)  # the claim, and the end if it came by itself


def test_of_intents_that_are_written_together_those_that_hold_are_granted_and_the_others_lost(database, send_id):
    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=4)
        with database.transaction() as session:
            session.execute(update(Delivery).where(Delivery.seq.in_((2, 3))).values(epoch=2))
        with locked(database, send_id):
            for ticket in tickets:
                desk.ledger.record(ticket, INTENT)
            await asyncio.sleep(0.05)
        await desk.close()
        return desk, tickets

    desk, tickets = uvloop.run(go())
    assert desk.granted == [tickets[0], tickets[3]]
    assert desk.lost == tickets[1:3]


def test_an_outcome_that_comes_too_late_is_no_intent_that_was_lost(database, send_id):
    async def go():
        desk = Desk(database)
        (ticket,) = await desk.claim(send_id, limit=1)
        desk.ledger.record(ticket, ACCEPTED)
        await desk.close()
        return desk

    desk = uvloop.run(go())
    assert (desk.granted, desk.lost) == ([], [])
    assert status(database, send_id).claimed == 1


def test_what_is_accepted_is_told_to_nobody(database, send_id):
    async def go():
        desk = Desk(database)
        (ticket,) = await desk.claim(send_id, limit=1)
        desk.ledger.record(ticket, INTENT)
        await desk.until(lambda: desk.granted)
        desk.ledger.record(ticket, ACCEPTED)
        await desk.close()
        return desk

    assert uvloop.run(go()).sizes == [1]
    assert status(database, send_id).accepted == 1


def test_a_claim_may_be_for_some_lanes_after_a_row(database, send_id):
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.seq.in_((3, 5, 7))).values(lane=2))

    async def go():
        desk = Desk(database)
        found = await desk.ledger.claim(send_id, 3, 1, (2, 4))
        await desk.close()
        return found

    assert [(one.seq, one.lane) for one in uvloop.run(go())] == [(5, 2)]


def test_a_claim_that_nobody_waits_for_any_more_disturbs_nobody(database, send_id):
    async def go():
        troubles = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: troubles.append(context))
        desk = Desk(database)
        with locked(database, send_id):
            claiming = asyncio.create_task(desk.ledger.claim(send_id, 0, 1))
            await asyncio.sleep(0.05)
            claiming.cancel()
        await desk.close()
        return troubles + desk.failures

    assert uvloop.run(go()) == []


def test_leases_that_were_renewed_are_told_with_the_moment_from_which_they_count(database, send_id):
    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=2)
        with database.transaction() as session:
            session.execute(update(Delivery).where(Delivery.seq == 2).values(epoch=2))
        began = time.monotonic()
        desk.ledger.renew(tickets)
        await desk.until(lambda: desk.renewed)
        await desk.close()
        return desk, tickets, began

    desk, tickets, began = uvloop.run(go())
    ((renewed, since),) = desk.renewed
    assert renewed == tickets[:1]
    assert began <= since <= time.monotonic()


def test_what_cannot_be_renewed_is_told_to_nobody(database, send_id):
    async def go():
        desk = Desk(database)
        desk.ledger.renew([Ticket(send_id, 1, 1)])
        await desk.close()
        return desk

    assert uvloop.run(go()).renewed == []


@pytest.fixture
def memory(database, tmp_path):
    """A memory of a sender that the database knows."""
    with database.transaction() as session:
        row = SenderProcess(host="here", pid=1, mark="mine", renewals=4, started_at=clock.now(), seen_at=clock.now())
        session.add(row)
        session.flush()
        found = Memory(tmp_path)
        found.keep(Known(row.id, "mine", 4, ""))
    return found


def test_each_sign_of_life_is_remembered_once_it_is_durable(database, send_id, memory, tmp_path):
    async def go():
        desk = Desk(database, memory.known.sender, memory)
        await desk.claim(send_id, limit=1)
        assert memory.known.renewals == 4
        for count in (5, 6):
            desk.ledger.renew([])
            await desk.until(lambda count=count: memory.known.renewals == count)
        await desk.close()
        return desk

    assert uvloop.run(go()).failures == []
    assert Memory(tmp_path).known.renewals == 6
    with database.read() as session:
        assert session.scalars(select(SenderProcess.renewals)).all() == [6]


@pytest.mark.parametrize("lost", ["its row", "a renewal"])
def test_a_database_that_forgot_its_sender_ends_the_ledger(database, send_id, memory, lost):
    with database.transaction() as session:
        row = session.get(SenderProcess, memory.known.sender)
        if lost == "its row":
            row.mark = "another"
        else:
            row.renewals = 3

    async def go():
        desk = Desk(database, memory.known.sender, memory)
        desk.ledger.renew([])
        await desk.until(lambda: desk.failures)
        await desk.close()
        return desk

    (failure,) = uvloop.run(go()).failures
    assert isinstance(failure, WentBack)
    assert memory.known.renewals == 4


class Rough:
    """A ledger whose database goes away when it is told to."""

    def __init__(self, database, monkeypatch, pauses=(0.0,)):
        monkeypatch.setattr("newsletter.delivery.ledger.PAUSES", pauses)
        self.database, self.faults, self.times = database, Faults(database), 0

    def fail(self, times, meanwhile=lambda: None):
        def strike():
            meanwhile()
            self.times += 1
            if self.times < times:
                self.faults.fail_next_commit(strike)

        self.faults.fail_next_commit(strike)

    def go(self, send_id, times, meanwhile=lambda: None):
        """One intent is granted; then the database goes away, comes back, and another one is asked for."""

        async def going():
            desk = Desk(self.database)
            first, second = await desk.claim(send_id, limit=2)
            desk.ledger.record(first, INTENT)
            await desk.until(lambda: desk.granted)
            self.fail(times, meanwhile)
            desk.ledger.record(second, INTENT)
            await desk.until(lambda: len(desk.granted) == 2 or desk.lost or desk.failures)
            await desk.close()
            return desk

        return uvloop.run(going())


def set_first(database, **values):
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.seq == 1).values(**values))


def test_however_often_the_database_is_away_the_ledger_waits_longer_and_writes_at_last(database, send_id, monkeypatch):
    rough = Rough(database, monkeypatch, pauses=(0.0, 0.02, 0.2))
    began = time.monotonic()
    assert rough.go(send_id, 5).failures == []
    assert time.monotonic() - began > 0.02 + 3 * 0.2
    assert rough.times == 5
    assert status(database, send_id).sending == 2


@pytest.mark.parametrize(
    "after", [{"epoch": 0}, {"state": DeliveryState.CLAIMED}, {"state": DeliveryState.PENDING, "epoch": 0}]
)
def test_a_database_that_comes_back_without_what_it_confirmed_ends_the_ledger(database, send_id, monkeypatch, after):
    rough = Rough(database, monkeypatch)
    desk = rough.go(send_id, 1, lambda: set_first(database, **after))
    (failure,) = desk.failures
    assert isinstance(failure, WentBack)
    assert status(database, send_id).sending < 2


@pytest.mark.parametrize("after", [{"state": DeliveryState.ACCEPTED}, {"state": DeliveryState.PENDING, "epoch": 2}, {}])
def test_a_database_that_comes_back_with_more_than_it_confirmed_is_written_to(database, send_id, monkeypatch, after):
    rough = Rough(database, monkeypatch)
    desk = rough.go(send_id, 1, lambda: set_first(database, **after) if after else None)
    assert (desk.failures, len(desk.granted)) == ([], 2)


def test_a_commit_whose_answer_was_lost_is_granted_when_it_is_written_again(database, send_id, monkeypatch):
    if database.dialect == "postgresql":
        monkeypatch.setattr("newsletter.delivery.ledger.PAUSES", (0.0,))
    rough = Rough(database, monkeypatch)

    async def go():
        desk = Desk(database)
        tickets = await desk.claim(send_id, limit=1)
        rough.faults.lose_next_answer(lambda: None)
        desk.ledger.record(tickets[0], INTENT)
        await desk.until(lambda: desk.granted)
        await desk.close()
        return desk

    assert uvloop.run(go()).failures == []
    with database.read() as session:
        assert delivery.recipient_of(session, send_id, 1).attempt == 1


def test_the_writer_writes_durably_and_leaves_no_setting_behind(database, send_id):
    asked = "PRAGMA synchronous" if database.dialect == "sqlite" else "SHOW enable_seqscan"
    seen, statements = [], []

    def executing(connection, _cursor, statement, *_rest):
        if threading.current_thread().name == "ledger":
            statements.append(statement)
            seen.append(connection.connection.driver_connection.execute(asked).fetchone()[0])

    event.listen(database.engine, "before_cursor_execute", executing)

    async def go():
        desk = Desk(database)
        await desk.claim(send_id, limit=1)
        await desk.close()

    uvloop.run(go())
    its_own, usual = (2, 1) if database.dialect == "sqlite" else ("off", "on")
    assert set(seen) == {its_own}
    assert database.engine.pool.checkedout() == 0
    assert ("BEGIN IMMEDIATE" in statements) is (database.dialect == "sqlite")
    with database.read() as session:
        assert session.execute(text(asked)).scalar_one() == usual


def test_what_is_told_after_the_loop_has_ended_harms_nobody(database, send_id):
    async def go():
        desk = Desk(database)
        (ticket,) = await desk.claim(send_id, limit=1)
        return desk, ticket

    desk, ticket = uvloop.run(go())
    desk.ledger.record(ticket, INTENT)
    desk.ledger.close()
    assert (desk.granted, status(database, send_id).sending) == ([], 1)
