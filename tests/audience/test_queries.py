import datetime as dt

import pytest
import time_machine
from factories.audience import many, subscriber

from newsletter import audience
from newsletter.audience import Reader, SubscriptionStatus, SuppressionReason
from newsletter.errors import NotFound

STATUS = SubscriptionStatus


def test_show_finds_a_person_by_any_spelling(session, secret, weekly, daily):
    subscriber(session, secret, "Ana@example.org", weekly, first_name="Ana", attributes={"city": "Ghent"})
    subscriber(session, secret, "Ana@example.org", daily, STATUS.PENDING)
    person = audience.show(session, " ANA@EXAMPLE.ORG")
    assert (person.email, person.first_name, person.attributes) == ("Ana@example.org", "Ana", {"city": "Ghent"})
    assert [(row.publication_id, row.status) for row in person.memberships] == [
        (weekly, STATUS.ACTIVE),
        (daily, STATUS.PENDING),
    ]


def test_show_names_who_is_missing(session):
    with pytest.raises(NotFound, match=r"nobody@example\.org"):
        audience.show(session, "nobody@example.org")
    with pytest.raises(NotFound, match="999"):
        audience.by_id(session, 999)


def test_search_finds_any_part_of_an_address_and_takes_it_literally(session, secret, weekly, daily):
    for email in ("ana_lind@example.org", "anaXlind@example.org", "100%@example.org", "ben@other.example"):
        subscriber(session, secret, email, weekly)
    subscriber(session, secret, "elsewhere@example.org", daily)

    def found(text):
        return [row.email for row in audience.search(session, weekly, text).rows]

    assert found("A_LIND") == ["ana_lind@example.org"]
    assert found("%") == ["100%@example.org"]
    assert found("@other.") == ["ben@other.example"]
    assert len(found("")) == 4
    assert found("elsewhere") == found("\\") == []


def test_pages_of_a_search_hold_everybody_once(database, weekly):
    many(database, 130, weekly)
    seen, after = [], 0
    with database.read() as session:
        while True:
            page = audience.search(session, weekly, "reader", after=after, limit=50)
            seen += [row.email for row in page.rows]
            if page.next_after is None:
                break
            after = page.next_after
    assert len(seen) == len(set(seen)) == 130


def test_search_can_be_narrowed_to_a_status(session, secret, weekly):
    subscriber(session, secret, "a@example.org", weekly)
    subscriber(session, secret, "b@example.org", weekly, STATUS.BOUNCED)
    page = audience.search(session, weekly, status=STATUS.BOUNCED)
    assert [(row.email, row.status) for row in page.rows] == [("b@example.org", STATUS.BOUNCED)]


def test_counts_agree_with_the_audience(session, secret, weekly, daily):
    people = [subscriber(session, secret, f"r{n}@example.org", weekly) for n in range(6)]
    subscriber(session, secret, "pending@example.org", weekly, STATUS.PENDING)
    subscriber(session, secret, "other@example.org", daily)
    audience.suppress(session, secret, address="r0@example.org", reason=SuppressionReason.MANUAL)
    audience.pause(session, Reader(weekly, people[1].id), weeks=2, via="page")
    audience.leave(session, Reader(weekly, people[2].id), via="page")
    audience.mark_bounced(session, people[3].id, evidence="550")
    found = audience.counts(session, weekly)
    assert found == audience.Counts(
        eligible=2, paused=1, suppressed=1, pending=1, unsubscribed=1, bounced=1, complained=0
    )
    assert found.active == 4
    assert len(session.execute(audience.eligible(weekly)).all()) == found.eligible


def test_an_empty_publication_counts_nobody(session, weekly):
    assert audience.counts(session, weekly) == audience.Counts(0, 0, 0, 0, 0, 0, 0)
    assert audience.growth(session, weekly) == []


def test_growth_counts_who_came_and_who_went_by_day(session, secret, weekly, daily):
    first = dt.datetime(2026, 11, 20, 23, 30, tzinfo=dt.UTC)
    with time_machine.travel(first, tick=False) as moment:
        person = subscriber(session, secret, "a@example.org", daily)
        other = subscriber(session, secret, "b@example.org", daily)
        for who in (person, other):
            audience.set_preferences(session, Reader(daily, who.id), wanted={weekly: True})
        audience.pause(session, Reader(weekly, other.id), weeks=2, via="page")
        moment.shift(3600)
        audience.leave(session, Reader(weekly, person.id), via="page")
        assert audience.growth(session, weekly) == [
            audience.GrowthRow(dt.date(2026, 11, 20), joined=2, left=0),
            audience.GrowthRow(dt.date(2026, 11, 21), joined=0, left=1),
        ]
        moment.shift(40 * 86_400)
        assert audience.growth(session, weekly) == []
