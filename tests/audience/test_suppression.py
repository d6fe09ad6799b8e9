import pytest
from factories.audience import subscriber

from newsletter import audience
from newsletter.audience import Reader, SubscriptionStatus, SuppressionReason
from newsletter.errors import Invalid

STATUS = SubscriptionStatus


@pytest.fixture
def ana(session, secret, weekly, daily):
    person = subscriber(session, secret, "ana@example.org", weekly)
    subscriber(session, secret, "ana@example.org", daily)
    return person.id


def _eligible(session, publication_id):
    return [row.address for row in session.execute(audience.eligible(publication_id))]


def _statuses(session, subscriber_id):
    return [membership.status for membership in audience.by_id(session, subscriber_id).memberships]


def test_a_suppressed_address_is_in_no_audience_whatever_its_spelling(session, secret, ana, weekly, daily):
    audience.suppress(
        session, secret, address=" ANA@Example.ORG ", reason=SuppressionReason.MANUAL, evidence="Asked by post."
    )
    assert _eligible(session, weekly) == _eligible(session, daily) == []
    assert audience.ineligible(session, weekly, [ana]) == {ana: "suppressed"}


def test_suppressing_twice_for_one_reason_is_suppressing_once(session, secret):
    first = audience.suppress(session, secret, address="x@example.org", reason=SuppressionReason.MANUAL)
    assert audience.suppress(session, secret, address="x@example.org", reason=SuppressionReason.MANUAL) == first


def test_a_complaint_is_not_hidden_by_an_earlier_wish_to_leave(session, secret, ana, weekly):
    audience.suppress(session, secret, address="ana@example.org", reason=SuppressionReason.UNSUBSCRIBED)
    audience.mark_complained(session, ana, evidence="Reported as spam.")
    asked = audience.ask(session, secret, email="ana@example.org", publication_id=weekly, source="form", wording="")
    assert asked.outcome is audience.Outcome.SUPPRESSED


def test_an_address_can_be_suppressed_for_one_publication(session, secret, ana, weekly, daily):
    audience.suppress(
        session, secret, address="ana@example.org", reason=SuppressionReason.MANUAL, publication_id=weekly
    )
    assert (_eligible(session, weekly), _eligible(session, daily)) == ([], ["ana@example.org"])


def test_what_is_no_address_cannot_be_suppressed(session, secret):
    with pytest.raises(Invalid):
        audience.suppress(session, secret, address="ana", reason=SuppressionReason.MANUAL)


def test_a_release_by_hand_brings_a_bounced_reader_back_and_not_a_complainer(session, secret, ana, weekly, daily):
    audience.mark_bounced(session, ana, weekly, evidence="550 5.1.1")
    audience.mark_complained(session, ana, daily, evidence="Reported as spam.")
    assert audience.release(session, secret, address="ana@example.org", evidence="Mailbox is back.") == 2
    assert _statuses(session, ana) == [STATUS.ACTIVE, STATUS.COMPLAINED]
    assert (_eligible(session, weekly), _eligible(session, daily)) == (["ana@example.org"], [])
    assert audience.release(session, secret, address="ana@example.org") == 0


def test_a_release_makes_nobody_active_who_never_confirmed(session, secret, weekly):
    person = subscriber(session, secret, "eva@example.org", weekly, STATUS.PENDING)
    audience.mark_bounced(session, person.id, evidence="550 5.1.1")
    audience.release(session, secret, address="eva@example.org")
    assert _statuses(session, person.id) == [STATUS.PENDING]


def test_a_release_keeps_to_its_scope(session, secret, ana, weekly, daily):
    audience.mark_bounced(session, ana, weekly, evidence="550 5.1.1")
    audience.mark_bounced(session, ana, daily, evidence="550 5.1.1")
    audience.release(session, secret, address="ana@example.org", publication_id=daily)
    assert (_eligible(session, weekly), _eligible(session, daily)) == ([], ["ana@example.org"])


@pytest.mark.parametrize("mark", [audience.mark_bounced, audience.mark_complained])
def test_a_mark_stops_every_subscription_and_survives_erasure(session, secret, ana, weekly, mark):
    assert mark(session, ana, evidence="550 5.1.1 no such user", event_id=77) == 2
    person = audience.by_id(session, ana)
    assert [(row.history[-1].evidence, row.history[-1].event_id) for row in person.memberships] == [
        ("550 5.1.1 no such user", 77)
    ] * 2
    audience.erase(session, secret, "ana@example.org")
    subscriber(session, secret, "ana@example.org", weekly)
    assert _eligible(session, weekly) == []


def test_marking_twice_stops_once(session, ana):
    assert audience.mark_bounced(session, ana, evidence="550", event_id=1) == 2
    assert audience.mark_bounced(session, ana, evidence="550", event_id=2) == 0
    assert len(audience.by_id(session, ana).suppressions) == 1


def test_marking_who_was_erased_does_nothing(session):
    assert audience.mark_bounced(session, 999, evidence="550") == 0


def test_a_bounce_does_not_hide_that_a_reader_left_or_complained(session, ana, weekly, daily):
    audience.leave(session, Reader(weekly, ana), via="page")
    audience.mark_complained(session, ana, daily, evidence="Reported as spam.")
    assert audience.mark_bounced(session, ana, evidence="550") == 0
    assert _statuses(session, ana) == [STATUS.UNSUBSCRIBED, STATUS.COMPLAINED]


def test_an_events_mark_can_be_undone(session, ana, weekly, daily):
    audience.mark_bounced(session, ana, evidence="550 5.1.1", event_id=77)
    assert audience.unmark(session, 77, evidence="The relay was wrong.") == 2
    assert _statuses(session, ana) == [STATUS.ACTIVE, STATUS.ACTIVE]
    assert _eligible(session, weekly) == _eligible(session, daily) == ["ana@example.org"]
    assert audience.unmark(session, 77, evidence="again") == 0


def test_undoing_leaves_alone_what_changed_since(session, ana, weekly, daily):
    audience.mark_bounced(session, ana, evidence="550 5.1.1", event_id=77)
    audience.leave(session, Reader(weekly, ana), via="page")
    assert audience.unmark(session, 77, evidence="The relay was wrong.") == 1
    assert _statuses(session, ana) == [STATUS.UNSUBSCRIBED, STATUS.ACTIVE]
