import datetime as dt

import pytest
from factories.delivery import Inbox, begun, scheduled, status, with_relay

from newsletter import delivery
from newsletter.delivery.models import DeliveryState, SendState
from newsletter.errors import NotFound
from newsletter.kit import clock, smtpd

KEYS = ["send", "issue", "state", "summary", "audience", *map(str, DeliveryState)]
KEYS += ["problem", "send_at", "started_at", "finished_at", "rate", "finishes_at"]


@pytest.fixture
def sent(database, settings):
    """A finished send: four accepted, one refused, one uncertain."""
    inbox = Inbox()
    inbox.at_rcpt["ana@example.org"] = "550 5.1.1 No such user"
    inbox.at_data["ben@example.org"] = smtpd.Answer(drop=True)
    with smtpd.Server(inbox) as server:
        send_id = scheduled(database, 4, addresses=("ana@example.org", "ben@example.org"))
        delivery.run(database, with_relay(settings, server))
    return send_id


def test_the_flat_object_has_every_state_by_its_name(database, sent):
    found = status(database, sent).as_json()
    assert list(found) == KEYS
    assert (found["audience"], found["accepted"], found["refused"], found["uncertain"]) == (6, 4, 1, 1)
    assert found["state"] == "complete"
    assert found["summary"] == "complete with 1 refused, 1 uncertain"
    assert dt.datetime.fromisoformat(found["finished_at"]) <= clock.now()


def test_before_the_freeze_the_audience_is_not_known(database):
    found = status(database, scheduled(database, 3))
    assert (found.state, found.audience, found.rate, found.finishes_at) == (SendState.SCHEDULED, 0, 0.0, None)


def test_while_it_runs_the_speed_and_the_finish_are_estimated(database, settings):
    inbox = Inbox()
    inbox.at_rcpt = {f"reader{n}@example.org": "451 4.7.1 Later" for n in range(1, 11)}
    with smtpd.Server(inbox) as server:
        send_id = begun(database, with_relay(settings, server), 30)
        delivery.run(database, with_relay(settings, server))
    found = status(database, send_id)
    assert (found.accepted, found.deferred, found.unfinished) == (20, 10, 10)
    assert found.rate > 0
    assert clock.now() < found.finishes_at < clock.now() + dt.timedelta(minutes=5)


def test_recipients_come_in_pages_by_state(database, sent):
    with database.read() as session:
        first = delivery.recipients(session, sent, limit=4)
        rest = delivery.recipients(session, sent, after=first.next_after, limit=4)
        refused = delivery.recipients(session, sent, DeliveryState.REFUSED)
    assert [row.seq for row in first.rows] == [1, 2, 3, 4]
    assert [row.seq for row in rest.rows] == [5, 6]
    assert rest.next_after is None
    assert [(row.address, row.command, row.code) for row in refused.rows] == [("ana@example.org", "RCPT", 550)]


def test_one_recipient_is_found_by_its_number(database, sent):
    with database.read() as session:
        row = delivery.recipient_of(session, sent, 1)
        assert (row.address, row.state, row.attempt) == ("reader1@example.org", DeliveryState.ACCEPTED, 1)
        assert row.relay.startswith("127.0.0.1:")
        assert row.intent_at <= row.outcome_at
        assert delivery.recipient_of(session, sent, 7) is None
        assert delivery.recipient_of(session, sent + 1, 1) is None


def test_the_sends_of_an_issue_are_listed(database, sent):
    with database.read() as session:
        issue_id = delivery.status(session, sent).issue
        assert [found.send for found in delivery.sends_of(session, issue_id)] == [sent]
        assert delivery.sends_of(session, issue_id + 1) == []


def test_a_send_that_does_not_exist_is_not_found(database):
    with database.read() as session, pytest.raises(NotFound, match="no send with the id 404"):
        delivery.status(session, 404)
