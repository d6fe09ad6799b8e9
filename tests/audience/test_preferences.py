import pytest
from factories.audience import subscriber

from newsletter import audience
from newsletter.audience import Reader, SubscriptionStatus, SuppressionReason
from newsletter.errors import BadToken, Invalid, NotFound, Refused


@pytest.fixture
def ana(session, secret, weekly):
    person = subscriber(session, secret, "ana@example.org", weekly, first_name="Ana", last_name="Lind")
    return Reader(weekly, person.id)


def _eligible(session, publication_id):
    return [row.address for row in session.execute(audience.eligible(publication_id))]


def _on(page):
    return {choice.slug: choice.on for choice in page.choices}


def test_the_page_shows_every_publication_and_where_the_reader_stands(session, ana, daily):
    audience.pause(session, ana, weeks=2, via="page")
    page = audience.preferences(session, ana)
    assert (page.address, page.first_name, page.last_name, page.tracking) == ("ana@example.org", "Ana", "Lind", True)
    assert _on(page) == {"weekly": True, "daily": False}
    assert [choice.paused_until is not None for choice in page.choices if choice.slug == "weekly"] == [True]


def test_only_what_is_given_changes(session, ana, daily):
    page = audience.set_preferences(session, ana, first_name=" Anna \r\n Maria ")
    assert (page.first_name, page.last_name, page.tracking) == ("Anna Maria", "Lind", True)
    page = audience.set_preferences(session, ana, tracking=False)
    assert (page.first_name, page.tracking) == ("Anna Maria", False)
    row = session.execute(audience.eligible(ana.publication_id)).one()
    assert (row.first_name, row.tracking) == ("Anna Maria", False)


def test_publications_are_switched_on_and_off_with_proof(session, ana, weekly, daily):
    page = audience.set_preferences(session, ana, wanted={weekly: False, daily: True})
    assert _on(page) == {"weekly": False, "daily": True}
    assert (_eligible(session, weekly), _eligible(session, daily)) == ([], ["ana@example.org"])
    page = audience.set_preferences(session, ana, wanted={weekly: True, daily: True})
    assert _on(page) == {"weekly": True, "daily": True}
    person = audience.by_id(session, ana.subscriber_id)
    assert [(row.publication_id, row.kind.value) for row in person.consents] == [
        (weekly, "left"),
        (daily, "confirmed"),
        (weekly, "confirmed"),
    ]


@pytest.mark.parametrize("status", [SubscriptionStatus.PENDING, SubscriptionStatus.BOUNCED])
def test_a_switch_left_where_it_stood_changes_nothing(session, secret, weekly, status):
    person = subscriber(session, secret, "eva@example.org", weekly, status)
    audience.set_preferences(session, Reader(weekly, person.id), first_name="Eva", wanted={weekly: False})
    (membership,) = audience.by_id(session, person.id).memberships
    assert (membership.status, membership.history) == (status, ())


def test_it_acts_on_the_links_own_reader_alone(session, ana, secret, weekly):
    ben = subscriber(session, secret, "ben@example.org", weekly, first_name="Ben")
    audience.set_preferences(session, ana, first_name="Changed", tracking=False, wanted={weekly: False})
    other = audience.preferences(session, Reader(weekly, ben.id))
    assert (other.first_name, other.tracking, _on(other)) == ("Ben", True, {"weekly": True, "daily": False})


@pytest.mark.parametrize("reason", [SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED, SuppressionReason.MANUAL])
def test_a_switch_does_not_lift_a_suppression(session, ana, secret, weekly, daily, reason):
    audience.suppress(session, secret, address="ana@example.org", reason=reason)
    with pytest.raises(Refused, match="stopped"):
        audience.set_preferences(session, ana, wanted={daily: True})


def test_a_switch_takes_back_the_readers_own_suppression(session, ana, secret, daily):
    audience.suppress(session, secret, address="ana@example.org", reason=SuppressionReason.UNSUBSCRIBED)
    audience.set_preferences(session, ana, wanted={daily: True})
    assert _eligible(session, daily) == ["ana@example.org"]


def test_names_that_could_break_a_header_are_refused(session, ana):
    for name in ("A\0na", "Ana\x1b[2J", "x" * 121):
        with pytest.raises(Invalid) as caught:
            audience.set_preferences(session, ana, first_name=name)
        assert caught.value.field == "first_name"


def test_an_unknown_publication_or_an_erased_reader_is_told(session, ana, secret):
    with pytest.raises(NotFound):
        audience.set_preferences(session, ana, wanted={999: True})
    audience.erase(session, secret, "ana@example.org")
    for act in (audience.preferences, audience.set_preferences):
        with pytest.raises(BadToken):
            act(session, ana)


def test_a_publication_that_was_never_joined_can_be_switched_off_without_effect(session, ana, daily):
    page = audience.set_preferences(session, ana, wanted={daily: False})
    assert [choice.status for choice in page.choices if choice.slug == "daily"] == [None]
    assert SubscriptionStatus.ACTIVE in [choice.status for choice in page.choices]
