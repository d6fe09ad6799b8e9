import threading

import pytest
from factories.publications import POSTAL, publication

from newsletter import publications
from newsletter.errors import Conflict, Invalid, NotFound
from newsletter.publications import DeadlineRule, UncertainPolicy


def test_a_publication_is_stored_as_given(session):
    made = publication(
        session,
        tagline="What happened, and why",
        reply_to="letters@meridian.example",
        language="pt-PT",
        direction="ltr",
        website="https://meridian.example",
        deadline_rule="send",
        uncertain_policy="hold",
        tracking=False,
    )
    found = publications.get(session, "weekly")
    assert found.id == made.id
    assert (found.from_name, found.from_address) == ("The Meridian Review", "desk@meridian.example")
    assert found.postal_address == POSTAL
    assert found.deadline_rule is DeadlineRule.SEND
    assert found.uncertain_policy is UncertainPolicy.HOLD
    assert found.tracking is False
    assert found.next_number == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"slug": "The Weekly"}, "slug"),
        ({"slug": "-weekly"}, "slug"),
        ({"slug": "x" * 61}, "slug"),
        ({"slug": ""}, "slug"),
        ({"name": "  "}, "name"),
        ({"name": "Weekly\r\nBcc: x@example.org"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"sender": "nobody"}, "sender"),
        ({"sender": "A\r\nBcc: b@example.org <a@example.org>"}, "sender"),
        ({"postal_address": " \n "}, "postal_address"),
        ({"postal_address": "12345"}, "postal_address"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"deadline_rule": "whenever"}, "deadline_rule"),
        ({"language": "English!"}, "language"),
        ({"direction": "up"}, "direction"),
        ({"website": "ftp://example.org"}, "website"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"theme": "../../etc"}, "theme"),
        ({"tagline": "two\nlines"}, "tagline"),
        ({"uncertain_policy": "panic"}, "uncertain_policy"),
    ],
)
def test_a_wrong_value_names_its_field_and_writes_nothing(session, fields, field):
    with pytest.raises(Invalid) as refusal:
        publication(session, **fields)
    assert refusal.value.field == field
    assert publications.listing(session) == []


def test_a_slug_is_taken_once(session):
    publication(session)
    with pytest.raises(Conflict, match="weekly"):
        publication(session, name="Another")


def test_an_unknown_slug_is_answered_with_those_that_exist(session):
    with pytest.raises(NotFound, match="none yet"):
        publications.get(session, "weekly")
    publication(session, slug="monthly", name="Monthly")
    publication(session, slug="daily", name="Daily")
    with pytest.raises(NotFound, match="daily, monthly"):
        publications.get(session, "weekly")
    with pytest.raises(NotFound):
        publications.by_id(session, 999)


def test_an_update_changes_the_fields_given_and_no_others(session):
    made = publication(session)
    publications.update(session, made, sender="desk@elsewhere.example", timezone="Asia/Tokyo")
    found = publications.by_id(session, made.id)
    assert (found.from_name, found.from_address, found.timezone) == ("", "desk@elsewhere.example", "Asia/Tokyo")
    assert found.name == "The Meridian Weekly"


def test_two_callers_never_get_the_same_number(database):
    with database.transaction() as session:
        ident = publication(session).id
    taken, barrier = [], threading.Barrier(4)

    def take():
        barrier.wait()
        for _ in range(5):
            with database.transaction() as session:
                taken.append(publications.take_number(session, ident))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 21))
