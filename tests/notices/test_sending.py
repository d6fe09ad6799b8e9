import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.delivery import with_relay
from sqlalchemy import select, update

from newsletter import notices
from newsletter.db import later
from newsletter.kit import clock, smtpd
from newsletter.notices import Notice, NoticeState, sending

STATE = NoticeState


@pytest.fixture
def queue(database, weekly):
    """Queue notices to these addresses, each in its own transaction."""

    def call(*addresses):
        for to in addresses:
            with database.transaction() as session:
                facts = {"confirm_url": f"http://news.example.test/confirm/{to[:3]}"}
                notices.queue(session, kind="confirm", to=to, publication_id=weekly, facts=facts)

    return call


def _rows(database):
    with database.read() as session:
        return session.scalars(select(Notice).order_by(Notice.id)).all()


def _row(database):
    (row,) = _rows(database)
    return row


def _set(database, **values):
    with database.transaction() as session:
        session.execute(update(Notice).values(**values))


def test_a_notice_goes_out_once_and_what_it_said_is_forgotten(database, relayed, inbox, queue):
    queue("ana@example.org")
    assert notices.send_due(database, relayed) == 1
    assert notices.send_due(database, relayed) == 0
    assert inbox.accepted == {"ana@example.org": 1}
    assert (
        "http://news.example.test/confirm/ana" in inbox.message_to("ana@example.org").get_body(("plain",)).get_content()
    )
    assert inbox.kept[0][0] == "desk@brief.example"
    row = _row(database)
    assert (row.state, row.facts, row.attempts, row.reply) == (STATE.ACCEPTED, {}, 1, "250 2.0.0 Ok: queued as X1")
    assert row.finished_at is not None


def test_more_than_a_batch_is_sent_in_one_call(database, relayed, inbox, queue):
    addresses = [f"r{n}@example.org" for n in range(2 * sending.AT_ONCE + 1)]
    queue(*addresses)
    assert notices.send_due(database, relayed) == len(addresses)
    assert inbox.accepted == dict.fromkeys(addresses, 1)


def test_a_refusal_is_final_and_told(database, relayed, inbox, queue, caplog):
    inbox.at_rcpt["ana@example.org"] = "550 5.1.1 No such user"
    queue("ana@example.org", "ben@example.org")
    assert notices.send_due(database, relayed) == 1
    refused, accepted = _rows(database)
    assert (refused.state, refused.reply, refused.facts) == (STATE.REFUSED, "550 5.1.1 No such user", {})
    assert accepted.state is STATE.ACCEPTED
    assert "refused" in caplog.text


def test_a_relay_that_says_later_is_asked_later(database, relayed, inbox, queue):
    inbox.at_rcpt["ana@example.org"] = ["451 4.7.1 Greylisted"]
    queue("ana@example.org")
    assert notices.send_due(database, relayed) == 0
    row = _row(database)
    assert (row.state, row.reply) == (STATE.DUE, "451 4.7.1 Greylisted")
    assert dt.timedelta(seconds=30) < row.not_before - clock.now() <= dt.timedelta(seconds=sending.BACK_OFF[0])
    assert notices.send_due(database, relayed) == 0  # not yet
    _set(database, not_before=clock.now())
    assert notices.send_due(database, relayed) == 1
    assert _row(database).attempts == 2


def test_a_notice_that_is_never_taken_is_given_up(database, relayed, inbox, queue):
    inbox.at_rcpt["ana@example.org"] = "451 4.2.1 Mailbox busy"
    queue("ana@example.org")
    for _ in range(len(sending.BACK_OFF) + 1):
        notices.send_due(database, relayed)
        _set(database, not_before=clock.now())
    row = _row(database)
    assert row.state is STATE.REFUSED
    assert row.reply == "Given up after 9 attempts: 451 4.2.1 Mailbox busy"
    assert sum(sending.BACK_OFF) < 24 * 3_600


def test_a_relay_that_is_down_loses_nothing(database, settings, queue, inbox):
    with smtpd.Server(inbox) as server:
        gone = with_relay(settings, server)
    queue("ana@example.org")
    assert notices.send_due(database, gone) == 0
    row = _row(database)
    assert row.state is STATE.DUE
    assert "cannot be reached" in row.reply


def test_without_a_relay_notices_wait_and_say_why(database, settings, relayed, queue, inbox):
    queue("ana@example.org")
    assert notices.send_due(database, settings) == 0
    row = _row(database)
    assert (row.state, row.attempts) == (STATE.DUE, 0)
    assert "NEWSLETTER_SMTP_URL" in row.reply
    with database.read() as session:
        waiting = notices.backlog(session)
    assert (waiting.waiting, waiting.since, waiting.reason) == (1, row.created_at, row.reply)
    assert notices.send_due(database, relayed) == 1
    with database.read() as session:
        assert notices.backlog(session) == notices.Backlog(0, None, "")


def test_a_lost_reply_is_sent_again_since_twice_is_better_than_never(database, relayed, inbox, queue):
    inbox.at_data["ana@example.org"] = [smtpd.Answer(drop=True)]
    queue("ana@example.org")
    assert notices.send_due(database, relayed) == 0
    assert "may have taken the message" in _row(database).reply
    _set(database, not_before=clock.now())
    assert notices.send_due(database, relayed) == 1
    assert inbox.received == {"ana@example.org": 2}


def test_a_notice_whose_sender_died_is_sent_when_the_lease_has_run_out(database, relayed, inbox, queue):
    queue("ana@example.org")
    _set(database, state=STATE.SENDING, attempts=1, lease_until=later(60))
    assert notices.send_due(database, relayed) == 0
    _set(database, lease_until=later(-1))
    assert notices.send_due(database, relayed) == 1
    assert inbox.accepted == {"ana@example.org": 1}


def test_a_sender_that_comes_back_late_writes_nothing(database, relayed, queue):
    queue("ana@example.org")
    (zombie,) = sending._claim(database)
    _set(database, lease_until=later(-1))
    assert notices.send_due(database, relayed) == 1
    before = _row(database)
    sending._finish(database, zombie, STATE.REFUSED, "too late")
    assert (_row(database).state, _row(database).reply) == (before.state, before.reply)


def test_two_workers_send_each_notice_once(database, relayed, inbox, queue):
    addresses = [f"r{n}@example.org" for n in range(40)]
    queue(*addresses)
    together = threading.Barrier(2)

    def work(_):
        together.wait()
        return notices.send_due(database, relayed)

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(work, range(2))) == 40
    assert inbox.accepted == dict.fromkeys(addresses, 1)


def test_one_that_cannot_be_written_does_not_stop_the_others(database, relayed, inbox, queue, weekly, caplog):
    with database.transaction() as session:
        notices.queue(session, kind="confirm", to="poison@example.org", publication_id=weekly, facts={})
        notices.queue(session, kind="confirm", to="orphan@example.org", publication_id=999, facts={})
    queue("ana@example.org")
    with caplog.at_level(logging.CRITICAL):
        assert notices.send_due(database, relayed) == 1
    poison, orphan, ana = _rows(database)
    assert (poison.state, orphan.state, ana.state) == (STATE.REFUSED, STATE.REFUSED, STATE.ACCEPTED)
    assert "confirm_url" in poison.reply
    assert "no publication" in orphan.reply


def test_stop_ends_it_between_batches(database, relayed, inbox, queue):
    queue(*(f"r{n}@example.org" for n in range(sending.AT_ONCE + 5)))
    stop = threading.Event()
    inbox.on_data = lambda _address: stop.set()
    assert notices.send_due(database, relayed, stop=stop) == sending.AT_ONCE
    assert len([row for row in _rows(database) if row.state is STATE.DUE]) == 5


def test_finished_notices_are_kept_for_a_month(database, relayed, queue):
    queue("ana@example.org")
    notices.send_due(database, relayed)
    _set(database, not_before=clock.now() - dt.timedelta(days=29))
    notices.send_due(database, relayed)
    assert len(_rows(database)) == 1
    _set(database, not_before=clock.now() - dt.timedelta(days=31))
    notices.send_due(database, relayed)
    assert _rows(database) == []


def test_no_transaction_is_open_while_the_relay_is_waited_for(database, relayed, inbox, queue):
    queue("ana@example.org")
    inbox.at_data["ana@example.org"] = [smtpd.Answer("250 2.0.0 Ok", delay=1.0)]
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(notices.send_due, database, relayed)
        inbox.wait_for(1)
        queue("ben@example.org")  # would wait for the lock on SQLite
        assert not sent.done()
        assert sent.result() == 2
