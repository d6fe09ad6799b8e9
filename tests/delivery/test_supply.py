import asyncio
import contextlib
import datetime as dt
import sqlite3
import threading
import time

import pytest
import uvloop
from factories.audience import SECRET
from factories.delivery import begun, status
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError

from newsletter import audience, delivery
from newsletter.delivery import supply as module
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Delivery, Pace, PaceState, Send
from newsletter.delivery.pace.pacer import Pacer
from newsletter.delivery.pace.providers import Provider
from newsletter.delivery.supply import Supply
from newsletter.delivery.transports.relays import parse_all
from newsletter.kit import clock

ME = 7


class Shop:
    """A supply with a ledger and paces, and somebody who takes from its backlog when it grew."""

    def __init__(self, database, settings, *, send_id=None, takes=True):
        self.failures, self.taken, self.sizes, self.takes = [], [], [], takes
        self.ledger = Ledger(database, ME, granted=lambda *_: None, failed=self.failures.append)
        self.pacer = Pacer(database, parse_all(settings.smtp_url))
        self.supply = Supply(database, settings, self.ledger, self.pacer, send_id=send_id, stock=self._stock)

    def _stock(self):
        self.sizes.append(len(self.supply.backlog))
        if self.takes:
            self.take()

    def take(self, most=100_000):
        while self.supply.backlog and most:
            self.taken.append(self.supply.backlog.popleft())
            most -= 1
        self.supply.low.set()

    @property
    def seqs(self):
        return sorted(job.ticket.seq for job in self.taken)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for are plain facts
                await asyncio.sleep(0.005)

    async def close(self):
        await asyncio.to_thread(self.ledger.close)
        await self.pacer.close()
        await asyncio.to_thread(self.supply.close)
        await asyncio.sleep(0)
        assert not self.failures


@pytest.fixture
def quiet(settings):
    """Settings with a relay that nobody connects to."""
    return settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})


@contextlib.asynccontextmanager
async def shop(database, settings, **how):
    made = Shop(database, settings, **how)
    await made.pacer.look()
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def at_work(one):
    """The supply runs meanwhile, and has ended afterwards."""
    running = asyncio.create_task(one.supply.run())
    yield
    async with asyncio.timeout(10):
        await running


def filled(database, settings, **how):
    """Run a supply to its end."""

    async def go():
        async with shop(database, settings, **how) as one, at_work(one):
            pass
        return one

    return uvloop.run(go())


def set_rows(database, *seqs, **values):
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.seq.in_(seqs)).values(**values))


def pace(database, name, **values):
    with database.transaction() as session:
        session.add(Pace(name=name, **values))


@contextlib.contextmanager
def locked(database):
    """Nobody can claim anything meanwhile."""
    with database.transaction() as session:
        session.execute(update(Send).values(grace_seconds=Send.grace_seconds))
        yield


def test_everything_due_is_claimed_a_batch_at_a_time_and_then_it_ends(database, quiet):
    first, second = begun(database, quiet, 30), begun(database, quiet, 45, prefix="other")
    one = filled(database, quiet)
    assert sorted(one.supply.frames) == [first, second]
    assert sorted((job.ticket.send_id, job.ticket.seq) for job in one.taken) == [
        *((first, seq) for seq in range(1, 31)),
        *((second, seq) for seq in range(1, 46)),
    ]
    assert max(one.sizes) == module.SMALLEST
    assert (one.supply.ended, one.supply.skipped, one.sizes[-1]) == (True, 0, 0)
    assert (status(database, first).claimed, status(database, second).claimed) == (30, 45)


def test_only_the_send_that_is_named_is_claimed(database, quiet):
    first, second = begun(database, quiet, 3), begun(database, quiet, 3, prefix="other")
    one = filled(database, quiet, send_id=second)
    assert {job.ticket.send_id for job in one.taken} == {second}
    assert status(database, first).pending == 3


def test_nothing_to_send_ends_at_once_and_is_told(database, quiet):
    one = filled(database, quiet)
    assert (one.supply.ended, one.sizes) == (True, [0])


def test_a_batch_is_a_third_of_a_second_of_work_within_bounds(database, quiet):
    async def go():
        async with shop(database, quiet) as one:
            found = []
            for smallest, rate in ((20, 0.0), (20, 300.0), (20, 1e6), (128, 30.0)):
                one.supply.smallest, one.supply.rate = smallest, rate
                found.append(one.supply.batch)
        return found

    assert uvloop.run(go()) == [20, 100, 500, 128]


def test_the_next_batch_is_claimed_when_half_of_one_is_left(database, quiet):
    send_id = begun(database, quiet, 60)

    async def go():
        async with shop(database, quiet, takes=False) as one, at_work(one):
            await one.until(lambda: one.supply.backlog)
            one.take(9)
            await asyncio.sleep(0.1)
            seen = [status(database, send_id).claimed]
            one.take(1)
            await one.until(lambda: len(one.supply.backlog) == 30)
            seen.append(status(database, send_id).claimed)
            one.takes = True
            one.take()
        return one, seen

    one, seen = uvloop.run(go())
    assert seen == [20, 40]
    assert one.seqs == list(range(1, 61))


def test_a_stop_gives_back_what_waits_and_claims_no_more(database, quiet):
    send_id = begun(database, quiet, 60)

    async def go():
        async with shop(database, quiet, takes=False) as one, at_work(one):
            await one.until(lambda: one.supply.backlog)
            one.take(2)
            one.supply.stop()
        return one

    one = uvloop.run(go())
    found = status(database, send_id)
    assert (found.claimed, found.pending) == (2, 58)
    assert (one.supply.ended, one.supply.stopping, len(one.supply.backlog)) == (True, True, 0)


def test_what_is_claimed_while_the_stop_comes_goes_back(database, quiet):
    send_id, other = begun(database, quiet, 60), begun(database, quiet, 60, prefix="other")

    async def go():
        async with shop(database, quiet) as one:
            with locked(database):
                async with asyncio.timeout(10):
                    running = asyncio.create_task(one.supply.run())
                    await one.until(lambda: len(one.supply.frames) == 2)
                    await asyncio.sleep(0.05)
                    one.supply.stop()
            await running
        return one

    assert uvloop.run(go()).taken == []
    for one in (send_id, other):
        assert status(database, one).pending == 60
        with database.read() as session:
            assert session.get(Delivery, (one, 1)).epoch == 1  # it was claimed


def test_what_is_looked_up_while_the_stop_comes_goes_back(database, quiet):
    send_id = begun(database, quiet, 60)

    async def go():
        go_on = threading.Event()
        async with shop(database, quiet) as one:
            one.supply.frames = {}
            running = asyncio.create_task(one.supply.run())
            await one.until(lambda: one.supply.frames)
            one.supply.aside(go_on.wait)  # the reading thread is busy
            await one.until(lambda: status(database, send_id).claimed)
            one.supply.stop()
            go_on.set()
            async with asyncio.timeout(10):
                await running
        return one

    one = uvloop.run(go())
    assert status(database, send_id).claimed == len(one.taken)
    assert status(database, send_id).pending == 60 - len(one.taken)


def test_a_lane_that_is_closed_gives_back_what_is_not_begun(database, quiet):
    send_id = begun(database, quiet, 12)
    set_rows(database, 2, 5, lane=Provider.GMAIL)

    async def go():
        async with shop(database, quiet, takes=False) as one, at_work(one):
            await one.until(lambda: one.supply.backlog)
            one.pacer.closed(int(Provider.GMAIL))
            assert [job.ticket.seq for job in one.supply.backlog] == [1, 3, 4, *range(6, 13)]
            one.takes = True
            one.take()

    uvloop.run(go())
    with database.read() as session:
        epochs = {seq: session.get(Delivery, (send_id, seq)).epoch for seq in range(1, 13)}
    assert [seq for seq, epoch in epochs.items() if epoch == 2] == [2, 5]  # claimed once more, for nothing holds them
    assert status(database, send_id).claimed == 12


def test_who_may_not_be_mailed_is_skipped_and_counted(database, quiet):
    send_id = begun(database, quiet, 5)
    with database.transaction() as session:
        for number in (2, 4):
            address = f"reader{number}@example.org"
            audience.suppress(session, SECRET, address=address, reason="manual", evidence="by phone")
    one = filled(database, quiet)
    assert one.seqs == [1, 3, 5]
    assert one.supply.skipped == 2
    assert status(database, send_id).skipped == 2
    with database.read() as session:
        assert delivery.recipient_of(session, send_id, 2).reply == "suppressed"


def test_a_reader_is_looked_at_again_when_the_last_look_was_too_long_ago(database, quiet):
    begun(database, quiet, 2)

    async def go():
        async with shop(database, quiet) as one:
            async with at_work(one):
                pass
            ana, ben = sorted(one.taken, key=lambda job: job.ticket.seq)
            with database.transaction() as session:
                audience.suppress(session, SECRET, address=ben.reader.address, reason="manual", evidence="by phone")
            for job in (ana, ben):
                job.checked = time.monotonic()
            fresh = [job.seen_lately() for job in (ana, ben)]
            for job in (ana, ben):
                job.checked = time.monotonic() - 0.6
            lately = [job.seen_lately() for job in (ana, ben)]
            old = [await one.supply.wanted(job) for job in (ana, ben)]
            return fresh, lately, old, ana.seen_lately()

    assert uvloop.run(go()) == ([True, True], [False, False], [True, False], True)


def test_a_send_that_begins_while_another_runs_joins_it(database, quiet, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    begun(database, quiet, 30)

    async def go():
        async with shop(database, quiet, takes=False) as one, at_work(one):
            await one.until(lambda: one.supply.backlog)
            late = await asyncio.to_thread(begun, database, quiet, 3, prefix="late")
            one.takes = True
            one.take()
        return one, late

    one, late = uvloop.run(go())
    assert [job.ticket.seq for job in one.taken if job.ticket.send_id == late] == [1, 2, 3]
    assert len(one.taken) == 33


def test_what_is_paused_is_not_claimed_and_the_rest_is(database, quiet):
    send_id = begun(database, quiet, 30)
    set_rows(database, 3, 9, lane=Provider.GMAIL)
    pace(database, "gmail", state=PaceState.PAUSED, since=clock.now(), probe_at=clock.now() + dt.timedelta(hours=1))
    one = filled(database, quiet)
    assert one.seqs == [seq for seq in range(1, 31) if seq not in (3, 9)]
    found = status(database, send_id)
    assert (found.pending, found.claimed) == (2, 28)


def test_what_a_pace_holds_comes_as_its_turns_come(database, quiet):
    begun(database, quiet, 30)
    set_rows(database, 3, 9, 12, lane=Provider.GMAIL)
    pace(database, "gmail", per_minute=6000)
    one = filled(database, quiet)
    assert one.seqs == list(range(1, 31))
    (frame,) = one.supply.frames.values()
    assert sorted(frame.cursors, key=str) == [int(Provider.GMAIL), None]


def test_when_every_lane_is_held_all_comes_by_its_turns(database, quiet):
    begun(database, quiet, 6)
    set_rows(database, 3, lane=Provider.GMAIL)
    for provider in Provider:
        pace(database, provider.slug, per_minute=6000)
    one = filled(database, quiet)
    assert one.seqs == [1, 2, 3, 4, 5, 6]


def test_while_the_database_is_away_the_supply_waits_and_at_the_stop_it_gives_up(database, quiet, monkeypatch):
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.0)
    begun(database, quiet, 3)
    away = threading.Event()
    tries = []

    def executing(*_given):
        if threading.current_thread().name.startswith("supply") and (away.is_set() or len(tries) < 2):
            tries.append(1)
            raise OperationalError("", None, sqlite3.OperationalError("the database is away"))

    event.listen(database.engine, "before_cursor_execute", executing)

    async def go():
        async with shop(database, quiet) as one:
            async with at_work(one):
                pass
            away.set()
            one.supply.stop()
            job = one.taken[0]
            job.checked = 0.0
            return one, await one.supply.wanted(job)

    one, wanted = uvloop.run(go())
    assert one.seqs == [1, 2, 3]
    assert wanted is False


def test_what_fails_beside_the_sending_is_a_line_in_the_log(database, quiet, caplog):
    done = threading.Event()

    def fails():
        msg = "nobody listens"
        raise RuntimeError(msg)

    async def go():
        async with shop(database, quiet) as one:
            one.supply.aside(fails)
            one.supply.aside(done.set)

    uvloop.run(go())
    assert done.is_set()
    assert "the sending goes on" in caplog.text
