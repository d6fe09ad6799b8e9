import asyncio
import threading
import time

import pytest
import uvloop
from factories.audience import SECRET
from factories.delivery import Inbox, begun, rows, status, with_relay
from sqlalchemy import event, select

from newsletter import audience, delivery
from newsletter.delivery import frames, send
from newsletter.delivery.lines import AHEAD
from newsletter.delivery.models import Delivery, DeliveryState, SendState
from newsletter.delivery.remember import Memory
from newsletter.delivery.run import _register
from newsletter.delivery.send import Options, Sender, _Clock
from newsletter.delivery.transports.relays import parse_all
from newsletter.kit import smtpd, wake

ANA, BEN = "ana@example.org", "ben@example.org"


@pytest.fixture
def relayed(settings, inbox):
    """Settings with a relay that takes one message at a time."""
    with smtpd.Server(inbox) as server:
        yield with_relay(settings, server, options="connections=1")


def everybody(n):
    return {f"reader{number}@example.org": 1 for number in range(1, n + 1)}


def attempts(database, send_id):
    with database.read() as session:
        statement = select(Delivery.attempt).where(Delivery.send_id == send_id).order_by(Delivery.seq)
        return session.scalars(statement).all()


def sent_by_hand(database, settings, act, options=None):
    """One run, with something done to it from its own loop; returns the sender."""
    memory = Memory(settings.data_dir)
    owner = _register(database, memory)

    async def go():
        relays = parse_all(settings.smtp_url)
        sender = Sender(database, settings, relays, owner, memory, options=options or Options(), send_id=None)
        act(sender)
        async with asyncio.timeout(20):
            await sender.run(threading.Event())
        return sender

    return uvloop.run(go())


def test_a_run_counts_what_became_of_each_delivery(database, relayed, inbox):
    inbox.at_rcpt = {"reader1@example.org": "550 5.1.1 No such user", "reader2@example.org": "451 4.7.1 Later"}
    inbox.at_data = {"reader3@example.org": smtpd.Answer(drop=True)}
    send_id = begun(database, relayed, 8)
    found = delivery.run(database, relayed)
    assert (found.accepted, found.refused, found.deferred, found.uncertain) == (5, 1, 1, 1)
    assert (found.sends, found.problem) == ((send_id,), "")
    assert attempts(database, send_id) == [1] * 8
    row = rows(database, send_id)["reader4@example.org"]
    assert (row.code, row.reply, row.relay.startswith("127.0.0.1:")) == (250, "2.0.0 Ok: queued as X1", True)


def test_no_body_leaves_before_its_intent_is_durable_and_two_at_most_are_between(database, relayed, inbox):
    send_id = begun(database, relayed, 12)
    seen = []
    inbox.on_data = lambda address: seen.append(
        (rows(database, send_id)[address].state, status(database, send_id).sending)
    )
    delivery.run(database, relayed)
    assert {state for state, _ in seen} == {DeliveryState.SENDING}
    assert max(count for _, count in seen) == AHEAD
    assert inbox.received == everybody(12)


def test_a_stop_finishes_what_is_on_the_wire_and_gives_the_rest_back(database, relayed, inbox):
    send_id = begun(database, relayed, 30)
    stop = threading.Event()

    def stops(_address):
        if sum(inbox.received.values()) == 5:
            stop.set()
            time.sleep(0.3)  # the stop is noticed meanwhile

    inbox.on_data = stops
    found = delivery.run(database, relayed, stop=stop)
    assert found.accepted == 5
    left = status(database, send_id)
    assert (left.accepted, left.pending) == (5, 25)
    assert sum(attempts(database, send_id)) == 5
    inbox.on_data = lambda _address: None
    delivery.run(database, relayed)
    assert inbox.received == everybody(30)


def test_a_stop_that_comes_too_long_before_the_reply_cuts_the_wire(database, relayed, inbox):
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 far too late", delay=30)
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))
    stop = threading.Event()
    inbox.on_data = lambda _address: stop.set()
    began = time.monotonic()
    delivery.run(database, relayed, stop=stop, options=Options(drain_seconds=0.1))
    assert time.monotonic() - began < 10
    found = rows(database, send_id)
    assert (found[ANA].state, found[ANA].reply) == (DeliveryState.UNCERTAIN, "the sender had to stop")
    assert (found[BEN].state, found[BEN].attempt) == (DeliveryState.PENDING, 0)


def test_a_pause_keeps_back_all_but_what_may_be_on_the_wire(database, relayed, inbox):
    send_id = begun(database, relayed, 30)

    def pauses(_address):
        if sum(inbox.received.values()) == 5:
            with database.transaction() as session:
                delivery.pause(session, send_id)

    inbox.on_data = pauses
    delivery.run(database, relayed)
    found = status(database, send_id)
    assert found.state is SendState.PAUSED
    assert 5 <= found.accepted <= 5 + AHEAD
    assert found.pending == 30 - found.accepted
    assert inbox.received.total() == found.accepted


def test_who_leaves_while_the_intent_waits_is_not_mailed(database, relayed, inbox, monkeypatch):
    monkeypatch.setattr("newsletter.delivery.frames.LOOK_HOLDS", 0.0)
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))

    def leaves(address):
        if address == ANA:
            with database.transaction() as session:
                audience.suppress(session, SECRET, address=BEN, reason="manual", evidence="by phone")

    inbox.on_data = leaves
    delivery.run(database, relayed)
    assert rows(database, send_id)[BEN].state is DeliveryState.PENDING
    delivery.run(database, relayed)
    row = rows(database, send_id)[BEN]
    assert (row.state, row.reply, row.attempt) == (DeliveryState.SKIPPED, "suppressed", 0)
    assert inbox.received == {ANA: 1}


def test_what_waited_longer_than_its_lease_is_not_written(database, relayed, inbox, monkeypatch):
    monkeypatch.setattr(frames, "STALE_SECONDS", 0.2)
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))
    inbox.at_data[ANA] = [smtpd.Answer("250 2.0.0 at last", delay=0.4)]
    delivery.run(database, relayed)
    assert inbox.received == {ANA: 1}
    assert rows(database, send_id)[BEN].attempt == 0
    delivery.run(database, relayed)
    assert inbox.received == {ANA: 1, BEN: 1}
    with database.read() as session:
        ben = session.get(Delivery, (send_id, 2))
    assert (ben.state, ben.epoch, ben.attempt) == (DeliveryState.ACCEPTED, 2, 1)  # given back, and claimed again


def test_what_is_in_hand_is_renewed_and_fresh_again(database, relayed, inbox, monkeypatch):
    monkeypatch.setattr(frames, "STALE_SECONDS", 0.35)
    monkeypatch.setattr(send, "RENEW_SECONDS", 0.0)
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))
    inbox.at_data[ANA] = [smtpd.Answer("250 2.0.0 at last", delay=0.6)]
    delivery.run(database, relayed)
    with database.read() as session:
        assert [session.get(Delivery, (send_id, seq)).epoch for seq in (1, 2)] == [1, 1]


def test_a_line_without_work_goes_home_after_its_time(database, settings, inbox):
    over = []
    inbox.disconnect = lambda session: over.append(time.monotonic())
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 at last", delay=0.6)
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server, options="connections=2")
        begun(database, relayed, 0, addresses=(ANA, BEN))
        delivery.run(database, relayed, options=Options(idle_seconds=0.1))
    assert len(over) == 2
    assert over[1] - over[0] > 0.2


def test_refusals_are_told_to_the_events_room_once_for_each_send(database, relayed, inbox, monkeypatch):
    monkeypatch.setattr(send, "ABSORB_SECONDS", 0.0)
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    inbox.at_rcpt = {"reader1@example.org": "550 5.1.1 No such user"}
    inbox.at_data = {"reader3@example.org": [smtpd.Answer("250 2.0.0 at last", delay=0.4)]}
    first, second = begun(database, relayed, 3), begun(database, relayed, 2, prefix="other")
    hints.clear()
    delivery.run(database, relayed)
    wake.register(None)
    assert hints.count(("absorb", first)) == 1
    assert ("absorb", second) not in hints


@pytest.mark.parametrize(
    ("reply", "state"),
    [("554 5.7.1 This looks like spam", SendState.PAUSED), ("451 4.3.0 Later", SendState.SENDING)],
)
def test_failures_in_a_row_pull_the_brake_unless_they_pass_with_one_reader(database, relayed, inbox, reply, state):
    inbox.at_data = {f"reader{n}@example.org": reply for n in range(1, 21)}
    send_id = begun(database, relayed, 20)
    found = delivery.run(database, relayed, options=Options(brake=4))
    now = status(database, send_id)
    assert now.state is state
    if state is SendState.PAUSED:
        assert now.problem == f"4 deliveries in a row failed, the last with: {reply}"
        assert 4 <= now.refused <= 4 + AHEAD + 4
    else:
        assert (now.deferred, found.problem) == (20, "")


def test_the_brake_counts_only_failures_in_a_row(database, relayed, inbox):
    inbox.at_rcpt = {f"reader{n}@example.org": "550 5.1.1 No such user" for n in range(1, 21) if n % 4}
    send_id = begun(database, relayed, 20)
    delivery.run(database, relayed, options=Options(brake=4))
    assert status(database, send_id).summary == "complete with 15 refused"


def test_a_relay_that_is_busy_ends_the_run_without_a_pause(database, relayed, inbox):
    inbox.at_mail = [smtpd.Answer("451 4.3.2 Busy", delay=0.05)] * 30
    send_id = begun(database, relayed, 20)
    found = delivery.run(database, relayed, options=Options(brake=4))
    assert found.problem == "4 deliveries in a row failed, the last with: 451 4.3.2 Busy"
    now = status(database, send_id)
    assert now.state is SendState.SENDING
    assert 4 <= now.deferred < 20
    assert now.pending == 20 - now.deferred


def test_a_login_that_is_refused_pauses_the_send_and_defers_everybody(database, relayed, inbox):
    inbox.at_mail = ["530 5.7.0 Authentication required"] * 30
    send_id = begun(database, relayed, 20)
    delivery.run(database, relayed, options=Options(brake=4))
    now = status(database, send_id)
    assert (now.state, now.refused) == (SendState.PAUSED, 0)
    assert now.problem.endswith("530 5.7.0 Authentication required")


def test_messages_that_cannot_be_made_are_refused_one_by_one(database, relayed, inbox):
    send_id = begun(database, relayed, 5)
    with database.transaction() as session:
        for seq in (2, 3):
            session.get(
                delivery.models.Recipient, (send_id, seq)
            ).address = f"r{seq}@example.org\r\nBcc: all@example.org"
    found = delivery.run(database, relayed)
    assert (found.accepted, found.refused) == (3, 2)
    now = status(database, send_id)
    assert (now.accepted, now.refused, now.summary) == (3, 2, "complete with 2 refused")


def test_without_a_relay_that_answers_the_run_ends_with_the_reason_and_nothing_in_hand(database, settings):
    with smtpd.Server(Inbox()) as gone:
        pass
    relayed = with_relay(settings, gone)
    send_id = begun(database, relayed, 30)
    assert "cannot be reached" in delivery.run(database, relayed).problem
    assert (status(database, send_id).pending, attempts(database, send_id)) == (30, [0] * 30)


@pytest.mark.parametrize("thread", ["ledger", "supply_0"])
def test_what_breaks_a_part_ends_the_run_and_is_raised(database, relayed, inbox, thread):
    begun(database, relayed, 60)

    def breaks(*_given):
        if threading.current_thread().name == thread and inbox.received.total() >= (5 if thread == "ledger" else 0):
            msg = "nobody expected this"
            raise RuntimeError(msg)

    event.listen(database.engine, "before_cursor_execute", breaks)
    with pytest.raises(RuntimeError, match="nobody expected this"):
        delivery.run(database, relayed)
    assert max(inbox.received.values(), default=0) <= 1


def test_an_error_that_nobody_caught_ends_the_run_and_gives_back_what_has_not_left(database, relayed, inbox):
    inbox.at_data["reader2@example.org"] = smtpd.Answer("250 2.0.0 far too late", delay=30)
    send_id = begun(database, relayed, 30)

    def boom():
        msg = "nobody caught this"
        raise LookupError(msg)

    def breaks(_sender):
        loop = asyncio.get_running_loop()
        inbox.on_data = lambda address: loop.call_soon_threadsafe(boom) if address == "reader2@example.org" else None

    sender = sent_by_hand(database, relayed, breaks)
    assert isinstance(sender.failure, LookupError)
    found = status(database, send_id)
    assert (found.accepted, found.uncertain) == (1, 1)
    assert found.pending >= 28 - 2 * AHEAD  # what was being asked for at that instant comes back with its lease
    assert rows(database, send_id)["reader2@example.org"].reply == "the ledger cannot be written"


def test_a_trouble_without_an_error_ends_the_run_too(database, relayed, inbox):
    begun(database, relayed, 1)
    inbox.at_data["reader1@example.org"] = smtpd.Answer("250 2.0.0 far too late", delay=30)

    def reports(_sender):
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, loop.call_exception_handler, {"message": "something is odd"})

    assert str(sent_by_hand(database, relayed, reports).failure) == "something is odd"


def test_a_batch_begins_with_as_much_as_the_lines_can_have_in_hand(database, settings, inbox):
    with smtpd.Server(inbox) as server:
        found = []
        for connections in (1, 40, 400):
            configured = with_relay(settings, server, options=f"connections={connections}")
            sent_by_hand(database, configured, lambda sender: found.append(sender.supply.batch))
    assert found == [AHEAD, AHEAD * 40, 500]


def test_a_clock_says_yes_once_each_time_the_seconds_have_passed():
    clock = _Clock()
    assert not clock.passed("a", 0.05)
    assert not clock.passed("a", 0.05)
    time.sleep(0.06)
    assert not clock.passed("b", 0.05)
    assert clock.passed("a", 0.05)
    assert not clock.passed("a", 0.05)


def test_a_clock_tells_by_how_much_a_count_grew_a_second():
    clock = _Clock()
    time.sleep(0.1)
    assert clock.rate(20) == pytest.approx(200, rel=0.5)
    time.sleep(0.1)
    assert clock.rate(25) == pytest.approx(50, rel=0.5)
