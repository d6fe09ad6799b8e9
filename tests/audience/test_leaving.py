import datetime as dt

import pytest
import time_machine
from factories.audience import subscriber
from sqlalchemy import func, select

from newsletter import audience
from newsletter.audience import ConsentKind, Reader, SubscriptionStatus
from newsletter.audience.models import Consent, StatusChange, Subscription
from newsletter.errors import Invalid, NotFound, Refused

START = dt.datetime(2026, 11, 20, 9, 0, tzinfo=dt.UTC)


@pytest.fixture
def moment():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ana(session, secret, weekly, daily):
    person = subscriber(session, secret, "ana@example.org", weekly)
    subscriber(session, secret, "ana@example.org", daily)
    subscriber(session, secret, "ben@example.org", weekly)
    return Reader(weekly, person.id, 5)


def _subscription(session, reader):
    mine = (
        Subscription.subscriber_id == reader.subscriber_id,
        Subscription.publication_id == reader.publication_id,
    )
    return session.scalars(select(Subscription).where(*mine)).one()


def _eligible(session, publication_id):
    return [row.address for row in session.execute(audience.eligible(publication_id))]


def test_leaving_ends_one_membership_of_one_reader(session, ana, weekly, daily):
    left = audience.leave(session, ana, via="one-click")
    assert left == audience.Left(ana, changed=True)
    assert _eligible(session, weekly) == ["ben@example.org"]
    assert _eligible(session, daily) == ["ana@example.org"]


def test_leaving_twice_is_leaving_once(session, ana):
    audience.leave(session, ana, via="one-click")
    assert not audience.leave(session, ana, via="page").changed
    proofs = session.scalars(select(Consent)).all()
    assert [(row.kind, row.source) for row in proofs] == [(ConsentKind.LEFT, "one-click")]
    assert session.scalar(select(func.count()).select_from(StatusChange)) == 1


def test_a_reason_may_follow(session, ana):
    audience.leave(session, ana, via="page")
    audience.leave(session, ana, via="page", reason="  too\r\n often ")
    assert _subscription(session, ana).left_reason == "too often"
    with pytest.raises(Invalid):
        audience.leave(session, ana, via="page", reason="x" * 301)


def test_a_link_to_nobody_is_no_error(session, ana, secret, weekly):
    assert not audience.leave(session, Reader(weekly, 999), via="one-click").changed
    audience.erase(session, secret, "ana@example.org")
    assert not audience.leave(session, ana, via="one-click").changed


def test_a_link_works_years_later(session, links, ana, weekly, moment):
    token = links.leave_token(ana.publication_id, ana.subscriber_id, ana.send_id)
    moment.move_to(START + dt.timedelta(days=3_650))
    assert audience.leave(session, links.open_leave(token), via="one-click").changed


def test_leaving_ends_a_pause_and_a_pending_wish_too(session, ana, secret, weekly):
    audience.pause(session, ana, weeks=4, via="page")
    audience.leave(session, ana, via="page")
    assert _subscription(session, ana).paused_until is None
    pending = subscriber(session, secret, "eva@example.org", weekly, SubscriptionStatus.PENDING)
    audience.leave(session, Reader(weekly, pending.id), via="page")
    assert _subscription(session, Reader(weekly, pending.id)).status is SubscriptionStatus.UNSUBSCRIBED


def test_a_complaint_stays_a_complaint(session, ana):
    audience.mark_complained(session, ana.subscriber_id, evidence="Reported as spam.")
    assert not audience.leave(session, ana, via="page").changed
    assert _subscription(session, ana).status is SubscriptionStatus.COMPLAINED


def test_leaving_can_be_undone_for_a_day(session, ana, weekly, moment):
    audience.leave(session, ana, via="page", reason="by mistake")
    moment.shift(24 * 3600 - 1)
    assert audience.resume(session, ana, via="page")
    assert "ana@example.org" in _eligible(session, weekly)
    assert session.scalars(select(Consent.kind).order_by(Consent.id)).all() == [ConsentKind.LEFT, ConsentKind.RESUMED]
    assert not audience.resume(session, ana, via="page")  # a second click


def test_after_a_day_a_fresh_sign_up_is_needed(session, ana, weekly, moment):
    audience.leave(session, ana, via="page")
    moment.shift(24 * 3600 + 1)
    with pytest.raises(Refused, match="sign up again"):
        audience.resume(session, ana, via="page")
    assert _eligible(session, weekly) == ["ben@example.org"]


def test_undoing_never_makes_more_of_a_reader_than_there_was(session, secret, weekly):
    pending = subscriber(session, secret, "eva@example.org", weekly, SubscriptionStatus.PENDING)
    reader = Reader(weekly, pending.id)
    audience.leave(session, reader, via="page")
    audience.resume(session, reader, via="page")
    assert _subscription(session, reader).status is SubscriptionStatus.PENDING


def test_nobody_can_resume_what_never_was_or_was_stopped(session, ana, daily, weekly):
    with pytest.raises(NotFound):
        audience.resume(session, Reader(weekly, 999), via="page")
    audience.mark_bounced(session, ana.subscriber_id, evidence="550 no such user")
    with pytest.raises(Refused):
        audience.resume(session, ana, via="page")


@pytest.mark.parametrize("weeks", [2, 4, 8])
def test_a_pause_keeps_the_subscription_and_stops_the_mail(session, ana, weekly, daily, weeks):
    until = audience.pause(session, ana, weeks=weeks, via="page")
    assert _subscription(session, ana).paused_until == until
    assert _subscription(session, ana).status is SubscriptionStatus.ACTIVE
    assert _eligible(session, weekly) == ["ben@example.org"]
    assert _eligible(session, daily) == ["ana@example.org"]
    assert audience.ineligible(session, weekly, [ana.subscriber_id]) == {ana.subscriber_id: "paused"}


def test_a_pause_can_be_ended_early_and_is_in_the_history(session, ana, weekly):
    audience.pause(session, ana, weeks=8, via="page")
    assert audience.resume(session, ana, via="page")
    assert "ana@example.org" in _eligible(session, weekly)
    evidence = session.scalars(select(StatusChange.evidence).order_by(StatusChange.id)).all()
    assert evidence == ["Paused for 8 weeks: page.", "Ended the pause: page."]


def test_a_pause_has_one_of_three_lengths_and_needs_a_subscription(session, ana):
    for weeks in (0, 1, 52, -2):
        with pytest.raises(Invalid, match="2, 4 or 8"):
            audience.pause(session, ana, weeks=weeks, via="page")
    audience.leave(session, ana, via="page")
    with pytest.raises(Refused):
        audience.pause(session, ana, weeks=2, via="page")
