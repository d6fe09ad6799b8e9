"""The LMTP door, with Python's own LMTP client."""

from __future__ import annotations

import smtplib
import threading
from contextlib import contextmanager

import pytest
from factories.events import dsn, sent, status
from sqlalchemy import func, select

from newsletter.audience.models import SubscriptionStatus
from newsletter.db import Database
from newsletter.events import serve_lmtp
from newsletter.events.models import Event, IntakeMessage

ADA = "ada@readers.example"


@contextmanager
def server(database, settings):
    stop, up, ports = threading.Event(), threading.Event(), []

    def started(port):
        ports.append(port)
        up.set()

    thread = threading.Thread(
        target=serve_lmtp, args=(database, settings, "127.0.0.1", 0, stop), kwargs={"started": started}
    )
    thread.start()
    assert up.wait(10)
    try:
        yield ports[0]
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def test_a_returned_mail_is_committed_before_250(database, settings):
    with database.transaction() as session:
        over = sent(session)
    with server(database, settings) as port, smtplib.LMTP("127.0.0.1", port) as client:
        assert client.sendmail("", [over.return_path(ADA)], dsn()) == {}
        with database.read() as session:  # the client has its 250: another reader sees all of it
            assert status(session, over, ADA) is SubscriptionStatus.BOUNCED
            assert session.scalar(select(func.count()).select_from(Event)) == 1


def test_every_recipient_gets_a_reply(database, settings):
    with database.transaction() as session:
        over = sent(session)
    with server(database, settings) as port, smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("")
        for address in over.readers:
            client.rcpt(over.return_path(address))
        replies = [client.data(dsn()), client.getreply(), client.getreply()]  # smtplib reads but the first
    assert [code for code, _ in replies] == [250, 250, 250]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 3


def test_the_same_mail_again_is_one_event(database, settings):
    with database.transaction() as session:
        over = sent(session)
    with server(database, settings) as port, smtplib.LMTP("127.0.0.1", port) as client:
        for _ in range(2):
            assert client.sendmail("", [over.return_path(ADA)], dsn()) == {}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1
        assert session.scalar(select(func.count()).select_from(IntakeMessage)) == 1


def test_while_the_database_is_away_the_mail_server_keeps_the_mail(settings, tmp_path, caplog):
    empty = Database(f"sqlite:///{tmp_path / 'no-tables.db'}")
    with server(empty, settings) as port, smtplib.LMTP("127.0.0.1", port) as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("", ["b+x@bounces.example"], dsn())
        assert refused.value.smtp_code == 451
    empty.dispose()
    assert "could not be kept" in caplog.text
