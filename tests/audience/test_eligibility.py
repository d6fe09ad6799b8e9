import datetime as dt

import pytest
from factories.audience import many, subscriber
from sqlalchemy import event, update

from newsletter.audience import eligible, ineligible
from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus, Suppression, SuppressionReason
from newsletter.kit import clock


def _addresses(session, publication_id):
    return [row.address for row in session.execute(eligible(publication_id))]


def _suppress(session, person, publication_id=None, **more):
    session.add(
        Suppression(
            address_hash=person.address_hash,
            publication_id=publication_id,
            reason=SuppressionReason.MANUAL,
            created_at=clock.now(),
            **more,
        )
    )
    session.flush()


def _pause(session, person, days):
    until = clock.now() + dt.timedelta(days=days)
    session.execute(update(Subscription).where(Subscription.subscriber_id == person.id).values(paused_until=until))


def test_a_row_carries_what_a_mail_may_name_and_the_address_as_its_owner_writes_it(session, secret, weekly):
    person = subscriber(
        session,
        secret,
        "Ana.Lind@Example.ORG",
        weekly,
        first_name="Ana",
        last_name="Lind",
        attributes={"city": "Ghent"},
    )
    row = session.execute(eligible(weekly)).one()
    assert row._asdict() == {
        "subscriber_id": person.id,
        "address": "Ana.Lind@example.org",
        "first_name": "Ana",
        "last_name": "Lind",
        "attributes": {"city": "Ghent"},
        "tracking": True,
    }


@pytest.mark.parametrize("status", list(SubscriptionStatus))
def test_only_active_subscriptions_are_mailed(session, secret, weekly, status):
    person = subscriber(session, secret, "a@example.org", weekly, status)
    if status is SubscriptionStatus.ACTIVE:
        assert _addresses(session, weekly) == ["a@example.org"]
        assert ineligible(session, weekly, [person.id]) == {}
    else:
        assert _addresses(session, weekly) == []
        assert ineligible(session, weekly, [person.id]) == {person.id: status.value}


def test_a_pause_ends_by_itself(session, secret, weekly):
    resting = subscriber(session, secret, "resting@example.org", weekly)
    rested = subscriber(session, secret, "rested@example.org", weekly)
    _pause(session, resting, 14)
    _pause(session, rested, -1)
    assert _addresses(session, weekly) == ["rested@example.org"]
    assert ineligible(session, weekly, [resting.id, rested.id]) == {resting.id: "paused"}


def test_a_suppression_keeps_an_active_reader_out_within_its_scope(session, secret, weekly, daily):
    everywhere = subscriber(session, secret, "everywhere@example.org", weekly)
    subscriber(session, secret, "everywhere@example.org", daily)
    here = subscriber(session, secret, "here@example.org", weekly)
    subscriber(session, secret, "here@example.org", daily)
    released = subscriber(session, secret, "released@example.org", weekly)
    _suppress(session, everywhere)
    _suppress(session, here, weekly)
    _suppress(session, released, released_at=clock.now())
    assert _addresses(session, weekly) == ["released@example.org"]
    assert _addresses(session, daily) == ["here@example.org"]
    assert ineligible(session, weekly, [everywhere.id, here.id, released.id]) == {
        everywhere.id: "suppressed",
        here.id: "suppressed",
    }


def test_who_was_erased_or_never_joined_is_named_too(session, secret, weekly, daily):
    elsewhere = subscriber(session, secret, "a@example.org", daily)
    assert ineligible(session, weekly, [elsewhere.id, 999]) == {elsewhere.id: "erased", 999: "erased"}


def test_thousands_of_ids_are_asked_in_few_statements(database, weekly):
    many(database, 12_000, weekly)
    statements = []
    with database.read() as session:
        people = [row.subscriber_id for row in session.execute(eligible(weekly))]
        assert people == sorted(people)
        assert len(people) == 12_000
        event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        assert ineligible(session, weekly, people) == {}
    assert len([s for s in statements if s.startswith("SELECT")]) == 3


def test_the_one_who_left_is_found_among_thousands(database, weekly):
    many(database, 6_000, weekly)
    with database.transaction() as session:
        people = [row.subscriber_id for row in session.execute(eligible(weekly))]
        left = session.get(Subscriber, people[5_500])
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == left.id)
            .values(status=SubscriptionStatus.UNSUBSCRIBED)
        )
        assert ineligible(session, weekly, people) == {left.id: "unsubscribed"}
        assert len(session.execute(eligible(weekly)).all()) == 5_999
