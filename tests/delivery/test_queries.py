import datetime as dt
from dataclasses import astuple, replace

import pytest
from factories.delivery import Inbox, begun, scheduled, status, with_relay
from sqlalchemy import select, update

from newsletter import delivery
from newsletter.delivery.models import (
    Delivery,
    DeliveryState,
    Pace,
    PaceState,
    Recipient,
    Send,
    SenderProcess,
    SendState,
)
from newsletter.delivery.pace.providers import Provider
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


@pytest.fixture
def quiet(settings):
    """Settings with a relay that nobody connects to."""
    return settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})


def change(database, send_id, *seqs, **values):
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == send_id, Delivery.seq.in_(seqs)).values(**values))


def change_send(database, send_id, **values):
    with database.transaction() as session:
        session.execute(update(Send).where(Send.id == send_id).values(**values))


def ago(seconds):
    return clock.now() - dt.timedelta(seconds=seconds)


def test_a_status_counts_each_state_of_its_own_send(database, quiet):
    send_id = begun(database, quiet, 36)
    begun(database, quiet, 2, prefix="other")
    last = 0
    for count, state in enumerate(DeliveryState, 1):
        change(database, send_id, *range(last + 1, last + count + 1), state=state)
        last += count
    found = status(database, send_id)
    assert [getattr(found, str(state)) for state in DeliveryState] == list(range(1, 9))
    assert found.unfinished == 1 + 2 + 3 + 5
    assert found.summary == "sending"


def test_a_status_tells_of_its_send_what_the_row_holds_now(database, quiet):
    send_id = begun(database, quiet, 2)
    with database.transaction() as session:
        send = session.get(Send, send_id)
        statement = update(Send).values(problem="no relay", audience=2)
        session.execute(statement, execution_options={"synchronize_session": False})
        found = delivery.status(session, send_id)
        told = (found.send, found.issue, found.publication, found.asked_by, found.problem)
    assert told == (send_id, send.issue_id, send.publication_id, "editor@example.org", "no relay")
    assert (found.send_at, found.started_at, found.finished_at) == (send.send_at, send.started_at, None)


@pytest.mark.parametrize(("refused", "uncertain", "words"), [
    (0, 0, "complete"), (2, 0, "complete with 2 refused"), (0, 1, "complete with 1 uncertain"),
])  # fmt: skip
def test_a_summary_says_what_is_not_as_it_should_be(database, quiet, refused, uncertain, words):
    found = replace(status(database, begun(database, quiet, 1)), refused=refused, uncertain=uncertain)
    assert replace(found, state=SendState.COMPLETE).summary == words
    assert found.summary == "sending"


def test_the_flat_object_rounds_the_speed_and_knows_no_empty_time(database, quiet):
    found = replace(status(database, begun(database, quiet, 1)), rate=12.3456, finished_at=None).as_json()
    assert (found["rate"], found["finished_at"]) == (12.3, None)


def test_the_present_speed_is_that_of_the_last_twenty_seconds(database, quiet):
    send_id = begun(database, quiet, 40)
    change_send(database, send_id, started_at=ago(100))
    change(database, send_id, *range(1, 11), state=DeliveryState.ACCEPTED, outcome_at=ago(5))
    change(database, send_id, *range(11, 16), state=DeliveryState.ACCEPTED, outcome_at=ago(60))
    found = status(database, send_id)
    assert found.rate == pytest.approx(10 / 20)
    assert [(lane.provider, lane.readers, lane.left, lane.pace) for lane in found.lanes] == [
        (Provider.OTHER, 40, 25, pytest.approx(30))
    ]
    assert (found.finishes_at - clock.now()).total_seconds() == pytest.approx(50, abs=5)


def test_in_its_first_seconds_the_speed_counts_from_the_start(database, quiet):
    send_id = begun(database, quiet, 40)
    change_send(database, send_id, started_at=ago(10))
    change(database, send_id, *range(1, 11), state=DeliveryState.ACCEPTED, outcome_at=ago(5))
    assert status(database, send_id).rate == pytest.approx(1.0, rel=0.2)
    change_send(database, send_id, started_at=ago(-60))  # clocks are set back now and then
    assert status(database, send_id).rate == pytest.approx(10_000)


def test_the_speed_of_an_ended_send_is_that_of_all_who_were_not_skipped(database, quiet):
    send_id = begun(database, quiet, 12)
    change(database, send_id, *range(1, 11), state=DeliveryState.ACCEPTED, outcome_at=ago(5))
    change(database, send_id, 11, 12, state=DeliveryState.SKIPPED)
    change_send(database, send_id, state=SendState.COMPLETE, started_at=ago(50), finished_at=ago(30))
    assert status(database, send_id).rate == pytest.approx(0.5, rel=0.01)
    moment = ago(30)
    change_send(database, send_id, started_at=moment, finished_at=moment)
    assert status(database, send_id).rate == pytest.approx(10_000)


def test_lanes_are_told_one_by_one_and_the_rest_comes_last(database, quiet):
    send_id = begun(database, quiet, 6)
    change(database, send_id, 1, 2, lane=Provider.GMAIL)
    change(database, send_id, 3, lane=Provider.APPLE)
    change(database, send_id, 2, state=DeliveryState.ACCEPTED, outcome_at=ago(1))
    change(database, send_id, 4, state=DeliveryState.REFUSED)
    found = [(lane.provider, lane.readers, lane.left) for lane in status(database, send_id).lanes]
    assert found == [(Provider.GMAIL, 2, 1), (Provider.APPLE, 1, 1), (Provider.OTHER, 3, 2)]


def pause_gmail(database):
    with database.transaction() as session:
        session.add(Pace(name="gmail", state=PaceState.PAUSED, reason="5.7.1 No", since=ago(9), probe_at=ago(-600)))


def test_what_waits_for_a_paused_provider_is_the_problem_of_a_send_that_goes_on(database, quiet):
    send_id = begun(database, quiet, 2)
    change(database, send_id, 1, lane=Provider.GMAIL)
    pause_gmail(database)
    waits = "Gmail refuses us, so what is left for them waits: 5.7.1 No"
    assert status(database, send_id).problem == waits
    change_send(database, send_id, problem="the relay is down")
    assert status(database, send_id).problem == "the relay is down"
    change_send(database, send_id, problem="", state=SendState.PAUSED)
    paused = status(database, send_id)
    assert (paused.problem, paused.lanes[0].finishes_at, paused.lanes[1].finishes_at) == ("", None, None)


def test_a_send_is_held_when_all_that_is_left_waits_for_a_provider(database, quiet):
    send_id = begun(database, quiet, 3)
    change(database, send_id, 1, 2, lane=Provider.GMAIL)
    pause_gmail(database)
    assert not status(database, send_id).held  # the third may go
    change(database, send_id, 3, state=DeliveryState.ACCEPTED)
    assert status(database, send_id).held
    for state in (DeliveryState.CLAIMED, DeliveryState.SENDING):
        change(database, send_id, 1, state=state)
        assert not status(database, send_id).held
    change(database, send_id, 1, 2, state=DeliveryState.ACCEPTED)
    assert not status(database, send_id).held


def test_all_sends_of_an_issue_come_in_their_order(database, quiet):
    send_id = begun(database, quiet, 1)
    with database.transaction() as session:
        send = session.get(Send, send_id)
        part = Send(
            issue_id=send.issue_id, publication_id=send.publication_id, audience_key="donors",
            state=SendState.SCHEDULED, send_at=clock.now(), created_at=clock.now(),
        )  # fmt: skip
        session.add(part)
        session.flush()
        assert [found.send for found in delivery.sends_of(session, send.issue_id)] == [send_id, part.id]


def test_a_page_ends_where_the_next_begins(database, quiet):
    send_id = begun(database, quiet, 3)
    begun(database, quiet, 3, prefix="other")
    with database.read() as session:
        first = delivery.recipients(session, send_id, limit=2)
        second = delivery.recipients(session, send_id, after=first.next_after, limit=1)
        everybody = delivery.recipients(session, send_id, limit=100_000)
    assert ([row.seq for row in first.rows], first.next_after) == ([1, 2], 2)
    assert ([row.seq for row in second.rows], second.next_after) == ([3], None)
    assert [row.address for row in everybody.rows] == [f"reader{n}@example.org" for n in (1, 2, 3)]


def test_a_page_has_a_limit_that_nobody_can_pass(database, quiet):
    send_id = begun(database, quiet, 201)
    with database.read() as session:
        page = delivery.recipients(session, send_id, limit=100_000)
    assert (len(page.rows), page.next_after) == (200, 200)


def test_a_recipient_is_told_with_all_that_is_known(database, quiet):
    send_id = begun(database, quiet, 2)
    moments = {"not_before": ago(3), "intent_at": ago(2), "outcome_at": ago(1)}
    noted = {"command": "RCPT", "code": 451, "reply": "4.7.1 Later", "relay": "mx:25"}
    change(database, send_id, 2, state=DeliveryState.DEFERRED, attempt=3, **noted, **moments)
    with database.read() as session:
        row = delivery.recipient_of(session, send_id, 2)
        person = session.get(Recipient, (send_id, 2))
    who = (send_id, 2, person.subscriber_id, person.edition_id, "reader2@example.org", DeliveryState.DEFERRED, 3)
    assert astuple(row) == (*who, *noted.values(), *moments.values())


def test_senders_are_those_that_have_not_stopped_the_latest_first(database):
    with database.transaction() as session:
        for pid in (1, 2, 3):
            stopped_at = ago(1) if pid == 2 else None
            session.add(
                SenderProcess(host=f"h{pid}", pid=pid, started_at=ago(9), seen_at=ago(5), stopped_at=stopped_at)
            )
            session.flush()
    with database.read() as session:
        first, _, third = session.scalars(select(SenderProcess).order_by(SenderProcess.id)).all()
        assert [astuple(row) for row in delivery.senders(session)] == [
            (one.id, one.host, one.pid, one.started_at, one.seen_at, None) for one in (third, first)
        ]
