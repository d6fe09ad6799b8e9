"""A returned mail reaches the reader's record, once, and only with our signature."""

from __future__ import annotations

import pytest
from factories.audience import SECRET
from factories.events import BOUNCES, complaint, dsn, plain, sent, status
from sqlalchemy import func, select

from newsletter import audience
from newsletter.audience.models import StatusChange, SubscriptionStatus
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.delivery.tracking import Marks
from newsletter.events import EventKind, Outcome, record, take
from newsletter.events.models import BounceClass, Event, IntakeMessage

ADA, BEN, CLEO = "ada@readers.example", "ben@readers.example", "cleo@elsewhere.example"


@pytest.fixture
def over(session):
    return sent(session)


@pytest.fixture
def come(session, settings):
    """Take a message in, as a door would."""

    def take_in(raw, to):
        return take(session, settings, channel="lmtp", envelope_to=to, raw=raw)

    return take_in


def events(session):
    return list(session.scalars(select(Event).order_by(Event.id)))


def test_a_bounce_to_our_return_path_stops_the_reader_with_evidence(session, over, come):
    assert come(dsn(), over.return_path(ADA)).outcome is Outcome.BOUNCE
    (event,) = events(session)
    assert (event.kind, event.send_id, event.seq) == (EventKind.BOUNCED, over.send_id, over.seq(ADA))
    assert (event.bounce_class, event.hard, event.detail) == (
        BounceClass.BAD_MAILBOX,
        True,
        "550 5.1.1 No such user here",
    )
    assert status(session, over, ADA) is SubscriptionStatus.BOUNCED
    assert status(session, over, BEN) is SubscriptionStatus.ACTIVE
    change = session.scalars(select(StatusChange).where(StatusChange.event_id == event.id)).one()
    assert "does not exist" in change.evidence
    assert "No such user here" in change.evidence


def test_the_return_path_names_the_reader_whatever_the_report_says(session, over, come):
    come(dsn(recipient="ben@readers.example"), over.return_path(ADA).upper())
    assert status(session, over, ADA) is SubscriptionStatus.BOUNCED
    assert status(session, over, BEN) is SubscriptionStatus.ACTIVE


def test_the_same_message_again_changes_nothing(session, over, come):
    first = come(dsn(), over.return_path(ADA))
    again = come(dsn(), over.return_path(ADA))
    assert again.again
    assert again.intake_id == first.intake_id
    assert len(events(session)) == 1


def test_a_second_copy_by_another_way_is_the_same_event(session, over, come):
    come(dsn(), over.return_path(ADA))
    come(b"Received: from elsewhere\n" + dsn(), over.return_path(ADA))
    assert len(events(session)) == 1
    assert session.scalar(select(func.count()).select_from(IntakeMessage)) == 2


@pytest.mark.parametrize("raw", [dsn(), complaint("X: y"), plain("unsubscribe", "")])
def test_a_forged_return_path_changes_nothing_and_is_counted(session, over, come, raw):
    forged = Marks(b"not our key, though long enough").return_path(over.send_id, over.seq(ADA), BOUNCES)
    assert come(raw, forged).outcome is Outcome.FORGED
    assert events(session) == []
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


def test_a_bounce_without_any_token_changes_nothing(session, over, come):
    assert come(dsn(), "desk@meridian.example").outcome is Outcome.UNNAMED
    assert events(session) == []
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


def test_the_returned_original_names_the_delivery_by_its_return_path(session, over, come):
    raw = complaint(f"Return-Path: <{over.return_path(BEN)}>")
    assert come(raw, "abuse@meridian.example").outcome is Outcome.COMPLAINT
    assert status(session, over, BEN) is SubscriptionStatus.COMPLAINED


def test_the_returned_original_names_the_delivery_by_its_unsubscribe_link(session, over, come):
    url = audience.Links("http://news.example.test", SECRET).leave_url(
        over.publication_id, over.readers[CLEO], over.send_id
    )
    come(complaint(f"List-Unsubscribe: <{url}>"), "abuse@meridian.example")
    assert status(session, over, CLEO) is SubscriptionStatus.COMPLAINED


def test_an_opt_out_report_is_a_leaver(session, over, come):
    come(complaint("X: y", feedback="opt-out"), over.return_path(ADA))
    assert status(session, over, ADA) is SubscriptionStatus.UNSUBSCRIBED
    assert EventKind.UNSUBSCRIBED in [event.kind for event in events(session)]


@pytest.mark.parametrize("feedback", ["auth-failure", "not-spam"])
def test_reports_about_our_signatures_cost_no_reader(session, over, come, feedback):
    assert come(complaint("X: y", feedback=feedback), over.return_path(ADA)).outcome is Outcome.COMPLAINT
    assert [event.kind for event in events(session)] == [EventKind.UNKNOWN]
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize(
    ("reply", "bounce_class"),
    [
        ("550 5.7.26 unauthenticated mail", BounceClass.BLOCK_AUTH),
        ("554 5.7.1 blocked using zen.spamhaus.org", BounceClass.BLOCK_REPUTATION),
        ("554 5.7.1 message looks like spam", BounceClass.CONTENT),
        ("421 4.4.2 timed out", BounceClass.TRANSIENT),
    ],
)
def test_the_senders_fault_never_costs_the_reader(session, over, come, reply, bounce_class):
    come(dsn(reply=reply, status="5.0.0"), over.return_path(ADA))
    (event,) = events(session)
    assert event.bounce_class is bounce_class
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


def test_an_automatic_answer_is_noted_and_changes_nothing(session, over, come):
    raw = plain("Automatic reply: The week", "I am away.", Auto_Submitted="auto-replied")
    assert come(raw, over.return_path(ADA)).outcome is Outcome.AUTO_REPLY
    assert [event.kind for event in events(session)] == [EventKind.AUTORESPONDED]
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


def test_a_mailed_request_unsubscribes_and_counts_for_its_issue(session, over, come):
    assert come(plain("Unsubscribe", ""), over.return_path(ADA)).outcome is Outcome.UNSUBSCRIBE
    assert status(session, over, ADA) is SubscriptionStatus.UNSUBSCRIBED
    (event,) = events(session)
    assert (event.kind, event.send_id, event.seq, event.detail) == (
        EventKind.UNSUBSCRIBED,
        over.send_id,
        over.seq(ADA),
        "mailto",
    )


def test_a_persons_reply_is_kept(session, over, come):
    assert come(plain("Re: The week", "Thank you!"), over.return_path(ADA)).outcome is Outcome.REPLY
    assert events(session) == []


def test_a_message_that_cannot_be_judged_is_kept_unread(session, over, come, monkeypatch, caplog):
    from newsletter.events import bounces

    def broken(message):
        raise RuntimeError

    monkeypatch.setattr(bounces, "explain_message", broken)
    taken = come(dsn(), over.return_path(ADA))
    kept = session.get(IntakeMessage, taken.intake_id)
    assert (taken.outcome, kept.outcome, kept.judged_at, kept.raw) == (Outcome.UNREAD, Outcome.UNREAD, None, dsn())
    assert "could not be judged" in caplog.text


def test_two_recipients_in_one_report_cost_the_reader_the_least(session, over, come):
    raw = dsn(recipient="alias-one@inner.example").replace(
        b"--=_cut\nContent-Type: text/rfc822-headers",
        b"Final-Recipient: rfc822; alias-two@inner.example\nAction: failed\nStatus: 5.2.2\n"
        b"Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n\n--=_cut\nContent-Type: text/rfc822-headers",
    )
    come(raw, over.return_path(ADA))
    (event,) = events(session)
    assert event.bounce_class is BounceClass.MAILBOX_FULL
    assert status(session, over, ADA) is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize(
    "report",
    [dsn(), plain("Out of office", "I am away.", **{"Auto-Submitted": "auto-replied"})],
    ids=["a bounce", "an automatic answer"],
)
def test_whatever_comes_back_shows_that_an_uncertain_delivery_was_accepted(session, come, report):
    over = sent(session, state=DeliveryState.UNCERTAIN)
    come(report, over.return_path(ADA))
    states = dict(session.execute(select(Delivery.seq, Delivery.state).where(Delivery.send_id == over.send_id)).all())
    assert states.pop(over.seq(ADA)) is DeliveryState.ACCEPTED
    assert set(states.values()) == {DeliveryState.UNCERTAIN}


def test_leaving_by_a_mails_own_link_shows_that_it_was_accepted(session):
    over = sent(session, state=DeliveryState.UNCERTAIN)
    record.unsubscribed(session, audience.Reader(over.publication_id, over.readers[BEN], over.send_id), via="page")
    states = dict(session.execute(select(Delivery.seq, Delivery.state).where(Delivery.send_id == over.send_id)).all())
    assert [seq for seq, state in states.items() if state is DeliveryState.ACCEPTED] == [over.seq(BEN)]
