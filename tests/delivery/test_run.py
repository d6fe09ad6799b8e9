import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.audience import SECRET
from factories.delivery import Inbox, begun, rows, scheduled, status, with_relay
from sqlalchemy import select

from newsletter import audience, delivery, issues
from newsletter.delivery import frames, send
from newsletter.delivery.models import SenderProcess, SendState
from newsletter.delivery.transports.smtp import Timeouts
from newsletter.issues import IssueState
from newsletter.kit import smtpd, wake

ANA, BEN, CAROL = "ana@example.org", "ben@example.org", "carol@example.org"
THREE = (ANA, BEN, CAROL)
EAGER = delivery.Options(patience=delivery.Patience(first=0.0, lost=0.0))
OFFERS = {"one write": None, "pipelined": ("PIPELINING",), "step by step": ()}


def run_again_and_again(database, settings, times=8):
    """What the workers' sweep does, without its pauses."""
    for _ in range(times):
        delivery.run(database, settings, options=EAGER)


@pytest.mark.parametrize("offers", OFFERS)
def test_everybody_gets_it_exactly_once(database, settings, offers):
    inbox = Inbox(OFFERS[offers])
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 300)
        summary = delivery.run(database, with_relay(settings, server))
    assert (summary.accepted, summary.problem) == (300, "")
    assert inbox.accepted == {f"reader{n}@example.org": 1 for n in range(1, 301)}
    found = status(database, send_id)
    assert (found.state, found.accepted, found.summary) == (SendState.COMPLETE, 300, "complete")
    with database.read() as session:
        assert issues.get(session, found.issue).state is IssueState.SENT


def test_what_is_rendered_is_what_is_sent(database, relayed, inbox):
    send_id = scheduled(database, 0, addresses=THREE)
    delivery.run(database, relayed)
    with database.read() as session:
        issue_id = delivery.status(session, send_id).issue
        for mail_from, address, message in inbox.kept:
            assert delivery.render_for(session, relayed, issue_id, address) == message
            assert mail_from.startswith("b+")
    assert len({mail_from for mail_from, _, _ in inbox.kept}) == 3


def test_a_5xx_at_rcpt_is_refused_for_that_reader_and_the_events_room_is_told(database, relayed, inbox):
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    inbox.at_rcpt[BEN] = "550 5.1.1 No such user"
    inbox.at_data[CAROL] = "552 5.2.2 Mailbox full"
    send_id = scheduled(database, 0, addresses=THREE)
    delivery.run(database, relayed)
    wake.register(None)
    found = rows(database, send_id)
    assert [(found[one].command, found[one].code, found[one].reply) for one in (BEN, CAROL)] == [
        ("RCPT", 550, "5.1.1 No such user"),
        ("DATA", 552, "5.2.2 Mailbox full"),
    ]
    assert inbox.accepted == {ANA: 1}
    assert status(database, send_id).summary == "complete with 2 refused"
    assert hints.count(("absorb", send_id)) == 1


def test_a_4xx_is_tried_again_until_it_is_accepted(database, relayed, inbox):
    inbox.at_rcpt[ANA] = ["451 4.7.1 Greylisted", "451 4.7.1 Greylisted"]
    inbox.at_data[BEN] = ["452 4.3.1 Disk full"]
    send_id = scheduled(database, 0, addresses=THREE)
    run_again_and_again(database, relayed)
    assert inbox.accepted == dict.fromkeys(THREE, 1)
    found = rows(database, send_id)
    assert [found[one].attempt for one in THREE] == [3, 2, 1]
    assert status(database, send_id).summary == "complete"


def test_a_deferred_delivery_waits_its_time_and_the_send_goes_on(database, relayed, inbox):
    inbox.at_rcpt[ANA] = "451 4.7.1 Greylisted"
    send_id = scheduled(database, 0, addresses=THREE)
    delivery.run(database, relayed)
    waiting = rows(database, send_id)[ANA]
    assert (waiting.state, waiting.command, waiting.code) == (delivery.DeliveryState.DEFERRED, "RCPT", 451)
    assert 15 < (waiting.not_before - waiting.outcome_at).total_seconds() < 25
    assert status(database, send_id).state is SendState.SENDING
    assert delivery.run(database, relayed).accepted == 0


def test_every_attempt_carries_the_same_bytes(database, relayed, inbox):
    seen = []
    inbox.at_data[ANA] = ["451 4.3.0 once more", "451 4.3.0 once more"]
    original = inbox.data
    inbox.data = lambda session, envelope, message: (
        seen.append((envelope.mail_from, message)),
        original(session, envelope, message),
    )[1]
    scheduled(database, 0, addresses=(ANA,))
    run_again_and_again(database, relayed)
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_after_the_retry_window_the_reader_is_refused_as_expired(database, relayed, inbox):
    inbox.at_rcpt[ANA] = "451 4.7.1 Never now"
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))
    with database.transaction() as session:
        session.get(delivery.models.Send, send_id).retry_window_seconds = 0
    run_again_and_again(database, relayed)
    found = rows(database, send_id)[ANA]
    assert found.state is delivery.DeliveryState.REFUSED
    assert found.reply == "expired after 5 attempts: 451 4.7.1 Never now"
    assert (found.attempt, found.command) == (5, None)


def test_a_connection_that_breaks_after_the_body_is_uncertain_and_never_sent_again_by_itself(database, relayed, inbox):
    inbox.at_data[BEN] = smtpd.Answer(drop=True)
    send_id = scheduled(database, 0, addresses=THREE)
    delivery.run(database, relayed)
    delivery.run(database, relayed)
    assert inbox.received == dict.fromkeys(THREE, 1)
    assert status(database, send_id).summary == "complete with 1 uncertain"
    assert rows(database, send_id)[BEN].reply == "the server closed the connection"


def test_a_connection_that_breaks_before_the_body_costs_nothing(database, settings):
    inbox = Inbox(offers=("PIPELINING",))
    inbox.at_mail = [smtpd.Answer(drop=True), "250 ok", smtpd.Answer("421 4.3.2 Closing", drop=True)]
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 30)
        run_again_and_again(database, with_relay(settings, server))
    assert inbox.accepted == {f"reader{n}@example.org": 1 for n in range(1, 31)}
    assert status(database, send_id).summary == "complete"


def test_a_connection_is_renewed_after_as_many_messages_as_the_relay_allows(database, settings, inbox, server):
    scheduled(database, 20)
    delivery.run(database, with_relay(settings, server, options="connections=1&messages=5"))
    assert inbox.sessions == 4
    assert inbox.accepted.total() == 20


def test_a_relay_that_hangs_up_unasked_is_not_run_into_twice(database, settings):
    class Moody(Inbox):
        def data(self, session, envelope, message):
            reply = super().data(session, envelope, message)
            return smtpd.Answer(reply, drop=True) if session.messages == 5 else reply

    inbox = Moody()
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 40)
        delivery.run(database, with_relay(settings, server, options="connections=1"))
    found = status(database, send_id)
    assert found.uncertain <= 1
    assert found.accepted + found.uncertain == 40


def test_a_relay_with_too_few_connections_is_used_with_those_it_has(database, settings):
    class Small(Inbox):
        """Takes two connections at once."""

        taken: set[int]

        def __init__(self):
            super().__init__()
            self.taken = set()

        def connect(self, session):
            if len(self.taken) == 2:
                return smtpd.Answer("421 4.7.0 Too many connections", drop=True)
            self.taken.add(session.number)
            return super().connect(session)

        def disconnect(self, session):
            self.taken.discard(session.number)

    inbox = Small()
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 200)
        for _ in range(3):  # a renewal may meet the old connection; then the next sweep goes on
            delivery.run(database, with_relay(settings, server, options="connections=8&messages=50"))
    assert status(database, send_id).accepted == 200
    assert inbox.received.total() == 200


def test_a_relay_that_is_down_leaves_its_share_to_the_other(database, settings, inbox, server):
    with smtpd.Server(Inbox()) as gone:
        pass
    send_id = scheduled(database, 100)
    delivery.run(database, with_relay(settings, gone, server))
    assert status(database, send_id).accepted == 100


def test_two_relays_share_the_work(database, settings):
    one, two = Inbox(), Inbox()
    with smtpd.Server(one) as first, smtpd.Server(two) as second:
        scheduled(database, 400)
        delivery.run(database, with_relay(settings, first, second))
    assert one.accepted.total() + two.accepted.total() == 400
    assert min(one.accepted.total(), two.accepted.total()) > 40


def test_without_a_relay_that_answers_nothing_is_lost_and_the_editor_is_told(database, settings, inbox):
    with smtpd.Server(Inbox()) as gone:
        pass
    send_id = scheduled(database, 50)
    summary = delivery.run(database, with_relay(settings, gone))
    assert f"127.0.0.1:{gone.port} cannot be reached" in summary.problem
    waiting = status(database, send_id)
    assert (waiting.pending, waiting.problem) == (50, summary.problem)
    with smtpd.Server(inbox) as server:
        delivery.run(database, with_relay(settings, server))
    assert inbox.accepted.total() == 50
    assert status(database, send_id).problem == ""


def test_a_relay_that_dies_in_mid_send_leaves_nobody_out(database, settings):
    inbox = Inbox()
    send_id = begun(database, settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)}), 400)
    with ThreadPoolExecutor(1) as beside:
        with smtpd.Server(inbox) as server:
            running = beside.submit(delivery.run, database, with_relay(settings, server), options=EAGER)
            inbox.wait_for(60)
        assert "cannot be reached" in running.result(timeout=30).problem
    with smtpd.Server(inbox) as server:
        run_again_and_again(database, with_relay(settings, server))
    found = status(database, send_id)
    assert found.accepted + found.uncertain == 400
    assert found.uncertain <= 2 * 4
    assert max(inbox.received.values()) == 1


def test_a_wrong_password_stops_the_run_and_costs_nobody_the_issue(database, settings):
    class Locked(Inbox):
        def mail(self, session, address):
            return "530 5.7.0 Authentication required"

    with smtpd.Server(Locked()) as server:
        send_id = scheduled(database, 200)
        delivery.run(database, with_relay(settings, server))
    found = status(database, send_id)
    assert found.state is SendState.PAUSED
    assert "530 5.7.0 Authentication required" in found.problem
    assert found.refused == 0


def test_a_relay_that_takes_no_body_pauses_the_send_and_costs_nobody_the_issue(database, settings):
    class Deaf(Inbox):
        def begin(self, session, envelope):
            return "502 5.5.1 Not implemented"

    with smtpd.Server(Deaf()) as server:
        send_id = scheduled(database, 200)
        delivery.run(database, with_relay(settings, server))
    found = status(database, send_id)
    assert (found.state, found.refused) == (SendState.PAUSED, 0)
    assert "502 5.5.1 Not implemented" in found.problem


def test_a_relay_that_is_busy_for_everybody_ends_the_run_and_the_next_one_tries_again(database, settings):
    inbox = Inbox()
    inbox.at_mail = ["451 4.3.2 Busy"] * 60
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 300)
        assert "451 4.3.2 Busy" in delivery.run(database, with_relay(settings, server)).problem
        assert status(database, send_id).state is SendState.SENDING
        run_again_and_again(database, with_relay(settings, server))
    found = status(database, send_id)
    assert found.accepted + found.deferred == 300
    assert found.accepted >= 230
    assert found.problem == ""


def test_a_refusal_of_everybody_pauses_the_send_before_it_is_spoilt(database, settings):
    class Angry(Inbox):
        def data(self, session, envelope, message):
            return "554 5.7.1 This looks like spam"

    with smtpd.Server(Angry()) as server:
        send_id = scheduled(database, 1000)
        delivery.run(database, with_relay(settings, server))
    found = status(database, send_id)
    assert found.state is SendState.PAUSED
    assert "554 5.7.1 This looks like spam" in found.problem
    assert 50 <= found.refused < 500
    assert found.pending == 1000 - found.refused


def test_a_reader_whose_message_cannot_be_made_is_refused_and_the_others_go_on(database, relayed, inbox):
    send_id = begun(database, relayed, 0, addresses=THREE)
    with database.transaction() as session:
        row = session.get(delivery.models.Recipient, (send_id, 2))
        row.address = "ben@example.org\r\nBcc: everybody@example.org"
    delivery.run(database, relayed)
    assert inbox.accepted == {ANA: 1, CAROL: 1}
    assert status(database, send_id).summary == "complete with 1 refused"
    (refused,) = (row for row in rows(database, send_id).values() if row.state is delivery.DeliveryState.REFUSED)
    assert refused.reply.startswith("not rendered: the address")
    assert refused.code is None


def test_who_leaves_between_the_freeze_and_the_claim_gets_nothing(database, relayed, inbox):
    send_id = begun(database, relayed, 0, addresses=THREE)
    with database.transaction() as session:
        audience.suppress(session, SECRET, address=BEN, reason="manual", evidence="asked by phone")
    delivery.run(database, relayed)
    assert inbox.accepted == {ANA: 1, CAROL: 1}
    skipped = rows(database, send_id)[BEN]
    assert (skipped.state, skipped.reply) == (delivery.DeliveryState.SKIPPED, "suppressed")
    assert status(database, send_id).summary == "complete"


def test_two_runs_at_once_share_the_work_and_double_nobody(database, relayed, inbox):
    send_id = begun(database, relayed, 1500)
    with ThreadPoolExecutor(3) as runs:
        summaries = list(runs.map(lambda _: delivery.run(database, relayed), range(3)))
    assert sum(one.accepted for one in summaries) == 1500
    assert inbox.received == {f"reader{n}@example.org": 1 for n in range(1, 1501)}
    delivery.run(database, relayed)
    assert status(database, send_id).summary == "complete"


def test_a_stop_in_mid_send_leaves_nothing_uncertain_and_nothing_claimed(database, relayed, inbox):
    send_id = begun(database, relayed, 3000)
    stop = threading.Event()
    inbox.on_data = lambda _address: stop.set() if sum(inbox.received.values()) >= 100 else None
    began = time.monotonic()
    summary = delivery.run(database, relayed, stop=stop)
    assert time.monotonic() - began < 30
    found = status(database, send_id)
    assert 100 <= summary.accepted == found.accepted < 3000
    assert found.pending == 3000 - found.accepted
    inbox.on_data = lambda _address: None
    delivery.run(database, relayed)
    assert inbox.received == {f"reader{n}@example.org": 1 for n in range(1, 3001)}


def test_a_stop_does_not_wait_longer_than_it_promises_for_a_reply(database, relayed, inbox):
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 far too late", delay=60)
    send_id = begun(database, relayed, 0, addresses=(ANA,))
    stop = threading.Event()
    inbox.on_data = lambda _address: stop.set()
    delivery.run(database, relayed, stop=stop, options=delivery.Options(drain_seconds=0.5))
    assert rows(database, send_id)[ANA].reply == "the sender had to stop"
    assert status(database, send_id).uncertain == 1


def test_a_reply_that_does_not_come_is_uncertain_after_its_time(database, relayed, inbox):
    inbox.at_data[ANA] = smtpd.Answer("250 2.0.0 late", delay=60)
    send_id = begun(database, relayed, 0, addresses=(ANA, BEN))
    delivery.run(database, relayed, options=delivery.Options(timeouts=Timeouts(body=0.5)))
    assert rows(database, send_id)[ANA].reply == "the server did not answer in time"
    assert status(database, send_id).accepted == 1


def test_a_run_without_anything_due_does_nothing(database, relayed, settings):
    assert delivery.run(database, relayed) == delivery.RunSummary()
    assert delivery.run(database, settings) == delivery.RunSummary()


def test_a_send_whose_relay_was_taken_away_says_so(database, relayed, settings):
    send_id = begun(database, relayed, 3)
    assert "NEWSLETTER_SMTP_URL" in delivery.run(database, settings).problem
    assert "NEWSLETTER_SMTP_URL" in status(database, send_id).problem


def test_only_the_send_that_was_named_is_sent(database, relayed, inbox):
    first = begun(database, relayed, 0, addresses=(ANA,))
    second = begun(database, relayed, 0, addresses=(BEN,))
    delivery.run(database, relayed, send_id=second)
    assert inbox.accepted == {BEN: 1}
    delivery.run(database, relayed)
    assert inbox.accepted == {ANA: 1, BEN: 1}
    assert status(database, first).state is SendState.COMPLETE


def test_every_run_signs_in_and_out_among_the_senders(database, relayed):
    begun(database, relayed, 3)
    delivery.run(database, relayed)
    with database.read() as session:
        (row,) = session.scalars(select(SenderProcess)).all()
        assert delivery.senders(session) == []
    assert row.stopped_at is not None


def test_the_sender_works_in_any_thread(database, relayed, inbox):
    begun(database, relayed, 20)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(delivery.run, database, relayed).result(timeout=60).accepted == 20


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
def test_a_lease_that_ran_out_while_the_relay_dawdled_keeps_the_body_back(database, settings, offers, monkeypatch):
    monkeypatch.setattr(frames, "STALE_SECONDS", 0.3)

    class Dawdling(Inbox):
        def rcpt(self, session, address):
            return smtpd.Answer("250 2.1.5 at last", delay=1.0)

    inbox = Dawdling(offers)
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server, options="connections=1")
        send_id = begun(database, relayed, 0, addresses=(ANA,))
        delivery.run(database, relayed)
    found = status(database, send_id)
    if offers is None:  # the body had left before the relay began to dawdle
        assert (found.accepted, inbox.received.total()) == (1, 1)
    else:
        assert (found.deferred, found.uncertain, inbox.received.total()) == (1, 0, 0)
        assert "kept back" in rows(database, send_id)[ANA].reply


@pytest.mark.parametrize("offers", [OFFERS["pipelined"], OFFERS["step by step"]])
def test_a_lease_that_was_renewed_while_the_relay_dawdled_lets_the_body_go(database, settings, offers, monkeypatch):
    monkeypatch.setattr(frames, "STALE_SECONDS", 0.6)
    monkeypatch.setattr(send, "RENEW_SECONDS", 0.1)

    class Dawdling(Inbox):
        def rcpt(self, session, address):
            return smtpd.Answer("250 2.1.5 at last", delay=1.5)

    with smtpd.Server(Dawdling(offers)) as server:
        relayed = with_relay(settings, server, options="connections=1")
        send_id = begun(database, relayed, 0, addresses=(ANA,))
        delivery.run(database, relayed)
    assert status(database, send_id).accepted == 1


STOPPED = """
import json, sys
from newsletter import config, delivery
from newsletter.db import Database
from newsletter.delivery import frames
frames.STALE_SECONDS = 1.0
settings = config.load(**json.loads(sys.argv[1]))
delivery.run(Database.of(settings), settings)
"""


def test_a_process_that_was_stopped_past_its_lease_drops_its_connection_before_the_dot(database, settings):
    asked = threading.Event()

    class Dawdling(Inbox):
        def rcpt(self, session, address):
            asked.set()
            return smtpd.Answer("250 2.1.5 at last", delay=0.5)

    inbox = Dawdling(("PIPELINING",))
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server, options="connections=1")
        send_id = begun(database, relayed, 0, addresses=(ANA,))
        given = {"database_url": relayed.database_url, "secret_key": relayed.secret_key, "base_url": relayed.base_url}
        given |= {"data_dir": str(relayed.data_dir), "smtp_url": " ".join(relayed.smtp_url)}
        process = subprocess.Popen([sys.executable, "-c", STOPPED, json.dumps(given)])
        assert asked.wait(30)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    assert not inbox.received
    assert rows(database, send_id)[ANA].state is delivery.DeliveryState.DEFERRED
