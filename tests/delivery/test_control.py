import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.delivery import begun, rows, scheduled, status
from sqlalchemy import update

from newsletter import delivery, issues
from newsletter.delivery import statements
from newsletter.delivery.control import shift
from newsletter.delivery.models import Delivery, DeliveryState, Send, SendState
from newsletter.delivery.recover import finish
from newsletter.errors import NotFound, Refused
from newsletter.issues import IssueState
from newsletter.kit import clock, smtpd, wake

ANA, BEN, CAROL = "ana@example.org", "ben@example.org", "carol@example.org"
VERBS = (delivery.pause, delivery.resume, delivery.cancel, delivery.retry)


@pytest.fixture
def quiet(settings):
    """Settings with a relay that nobody connects to."""
    return settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})


def do(database, verb, send_id, **more):
    with database.transaction() as session:
        return verb(session, send_id, **more)


def in_mid_send(database, settings, inbox, act, *, readers=2000, after=100):
    """Run a send, do something in the middle of it, and wait for the run."""
    send_id = begun(database, settings, readers)
    inbox.on_data = lambda _address: time.sleep(0.002)  # seconds of work, so that the middle can be met
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(delivery.run, database, settings)
        inbox.wait_for(after)
        act(send_id)
        inbox.on_data = lambda _address: None
        running.result(timeout=60)
    return send_id


def test_a_pause_in_mid_send_stops_it_and_a_resume_serves_the_rest_once(database, relayed, inbox):
    send_id = in_mid_send(database, relayed, inbox, lambda send_id: do(database, delivery.pause, send_id))
    paused = status(database, send_id)
    assert paused.state is SendState.PAUSED
    assert 100 <= paused.accepted < 2000
    assert paused.pending == 2000 - paused.accepted
    assert delivery.run(database, relayed).accepted == 0
    assert do(database, delivery.resume, send_id).state is SendState.SENDING
    delivery.run(database, relayed)
    assert inbox.received == {f"reader{n}@example.org": 1 for n in range(1, 2001)}
    assert status(database, send_id).summary == "complete"


def test_after_a_pause_has_returned_nothing_new_goes_out_but_what_was_on_the_wire(database, relayed, inbox):
    seen = []

    def act(send_id):
        do(database, delivery.pause, send_id)
        seen.append(sum(inbox.received.values()))
        time.sleep(0.5)

    in_mid_send(database, relayed, inbox, act)
    assert sum(inbox.received.values()) - seen[0] <= 2 * 4


def test_a_cancel_in_mid_send_calls_off_the_rest_and_keeps_what_was_accepted(database, relayed, inbox):
    send_id = in_mid_send(database, relayed, inbox, lambda send_id: do(database, delivery.cancel, send_id))
    found = status(database, send_id)
    assert found.state is SendState.CANCELLED
    assert found.accepted == inbox.received.total()
    assert found.skipped == 2000 - found.accepted
    assert {row.reply for row in rows(database, send_id).values() if row.state is DeliveryState.SKIPPED} == {
        "cancelled"
    }
    with database.read() as session:
        assert issues.get(session, found.issue).state is IssueState.SENT
    for verb in (delivery.resume, delivery.retry, delivery.pause, delivery.cancel):
        with pytest.raises(Refused, match="cancelled"):
            do(database, verb, send_id)


def test_pauses_and_resumes_at_any_moment_lose_and_double_nobody(database, relayed, inbox):
    send_id = begun(database, relayed, 1500)
    over = threading.Event()

    def fidget():
        with contextlib.suppress(Refused):  # the send is complete
            while not over.is_set():
                do(database, delivery.pause, send_id)
                do(database, delivery.resume, send_id)
                over.wait(0.02)

    with ThreadPoolExecutor(1) as beside:
        fidgeting = beside.submit(fidget)
        for _ in range(20):
            delivery.run(database, relayed)
        over.set()
        fidgeting.result(timeout=30)
    delivery.run(database, relayed)
    assert inbox.received == {f"reader{n}@example.org": 1 for n in range(1, 1501)}
    assert status(database, send_id).summary == "complete"


def test_a_retry_serves_those_who_have_not_got_it_and_nobody_else(database, relayed, inbox):
    inbox.at_rcpt = {ANA: ["550 5.1.1 No such user"], BEN: ["451 4.7.1 Later"]}
    inbox.at_data = {CAROL: [smtpd.Answer(drop=True)]}
    send_id = scheduled(database, 5, addresses=(ANA, BEN, CAROL))
    delivery.run(database, relayed)
    before = status(database, send_id)
    assert (before.refused, before.deferred, before.uncertain, before.accepted) == (1, 1, 1, 5)
    assert do(database, delivery.retry, send_id).pending == 2
    delivery.run(database, relayed)
    assert inbox.accepted[ANA] == inbox.accepted[BEN] == 1
    assert inbox.received[CAROL] == 1
    assert status(database, send_id).summary == "complete with 1 uncertain"
    do(database, delivery.retry, send_id, uncertain=True)
    delivery.run(database, relayed)
    assert inbox.received[CAROL] == 2
    assert status(database, send_id).summary == "complete"


def test_a_resume_and_a_retry_wake_the_workers(database, relayed):
    send_id = begun(database, relayed, 3)
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    do(database, delivery.pause, send_id)
    do(database, delivery.resume, send_id)
    do(database, delivery.retry, send_id)
    wake.register(None)
    assert hints == [("deliver", send_id)] * 2


def test_a_send_that_has_not_begun_can_only_be_cancelled(database):
    send_id = scheduled(database, 3)
    for verb in (delivery.pause, delivery.resume, delivery.retry):
        with pytest.raises(Refused, match="scheduled"):
            do(database, verb, send_id)
    assert do(database, delivery.cancel, send_id).state is SendState.CANCELLED


@pytest.mark.parametrize("verb", VERBS)
def test_a_send_that_does_not_exist_is_not_found(database, verb):
    with pytest.raises(NotFound):
        do(database, verb, 404)


def test_a_pause_says_why_takes_back_what_is_claimed_and_leaves_the_rest(database, quiet):
    send_id = begun(database, quiet, 3)
    with database.connection() as connection:
        statements.claim(connection, 7, send_id, 0, 2)
    found = do(database, delivery.pause, send_id, problem="the relay refuses everybody")
    assert (found.state, found.problem, found.pending) == (SendState.PAUSED, "the relay refuses everybody", 3)
    with database.read() as session:
        assert [session.get(Delivery, (send_id, seq)).epoch for seq in (1, 2, 3)] == [2, 2, 0]
    found = do(database, delivery.resume, send_id)
    assert (found.state, found.problem) == (SendState.SENDING, "")


def test_a_cancel_is_dated_and_a_retry_takes_the_end_back(database, quiet):
    send_id = begun(database, quiet, 2)
    other = begun(database, quiet, 2, prefix="other")
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.REFUSED, attempt=4))
    finish(database, send_id)
    assert status(database, send_id).finished_at is not None
    again = do(database, delivery.retry, send_id)
    assert (again.state, again.finished_at, again.pending) == (SendState.SENDING, None, 2)
    assert {row.attempt for row in rows(database, send_id).values()} == {0}
    assert status(database, other).refused == 2
    called_off = do(database, delivery.cancel, send_id)
    assert abs((clock.now() - called_off.finished_at).total_seconds()) < 5
    assert all(abs((clock.now() - row.outcome_at).total_seconds()) < 5 for row in rows(database, send_id).values())
    with database.read() as session:
        assert session.get(Send, send_id).unsettled == 1


def test_a_retry_of_a_paused_send_goes_on_without_its_problem(database, quiet):
    send_id = begun(database, quiet, 1)
    do(database, delivery.pause, send_id, problem="the relay refuses everybody")
    found = do(database, delivery.retry, send_id)
    assert (found.state, found.problem) == (SendState.SENDING, "")


def test_a_shift_moves_only_what_the_table_lets_move(database, quiet):
    send_id = begun(database, quiet, 3)
    every = tuple(DeliveryState)
    with database.transaction() as session:
        session.get(Delivery, (send_id, 1)).state = DeliveryState.ACCEPTED
        session.get(Delivery, (send_id, 2)).state = DeliveryState.SENDING
        session.flush()
        shift(session, send_id, every, DeliveryState.SKIPPED)
    assert [str(row.state) for row in rows(database, send_id).values()] == ["accepted", "sending", "skipped"]
