"""Unsubscribing, by page and by RFC 8058 (threat T9)."""

import pytest
from factories import audience as readers
from factories import publications as titles
from factories.web import dump, html, words

from newsletter import audience
from newsletter.audience import SubscriptionStatus
from newsletter.audience.models import Subscription
from newsletter.events.models import Event, EventKind


@pytest.fixture
def reader(database, settings):
    with database.transaction() as session:
        weekly = titles.publication(session, "weekly", name="The Weekly")
        other = titles.publication(session, "other", name="The Other")
        person = readers.subscriber(session, settings.secret, "ana@reader.example", weekly.id)
        readers.subscriber(session, settings.secret, "ana@reader.example", other.id)
    return audience.Reader(weekly.id, person.id), other.id


@pytest.fixture
def path(reader, app):
    who, _ = reader
    return f"/u/{app.state.site.links.leave_token(who.publication_id, who.subscriber_id)}"


def statuses(database):
    with database.read() as session:
        return {row.publication_id: row.status for row in session.query(Subscription)}


def test_the_page_shows_whom_it_is_about_without_telling_it_to_others(visitor, path):
    page = visitor.get(path)
    assert page.status_code == 200
    assert "a…@reader.example" in words(page)
    assert "ana@reader.example" not in page.text
    assert "Unsubscribe from The Weekly?" in words(page)


def test_opening_it_changes_nothing(visitor, path, database):
    before = dump(database)
    for _ in range(3):
        assert visitor.get(path).status_code == 200
        assert visitor.client.head(path).status_code == 200
        assert visitor.get(path, purpose="prefetch").status_code == 200
    assert dump(database) == before


def test_the_button_leaves_this_newsletter_and_no_other(visitor, path, reader, database):
    who, other = reader
    done = visitor.press(visitor.get(path), path)
    assert done.status_code == 200
    assert "You have unsubscribed" in words(done)
    assert statuses(database) == {
        who.publication_id: SubscriptionStatus.UNSUBSCRIBED,
        other: SubscriptionStatus.ACTIVE,
    }


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_one_click_needs_no_cookie_no_page_and_no_second_step(visitor, path, database, encoding):
    body = {"List-Unsubscribe": "One-Click"}
    ways = {"urlencoded": {"data": body}, "multipart": {"files": {name: (None, value) for name, value in body.items()}}}
    answers = [visitor.client.post(path, **ways[encoding]) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert answer.text == "You have been unsubscribed.\n"
    assert SubscriptionStatus.UNSUBSCRIBED in statuses(database).values()


def test_one_click_works_from_anywhere(visitor, path, database):
    headers = {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}
    response = visitor.client.post(path, data={"List-Unsubscribe": "One-Click"}, headers=headers)
    assert response.status_code == 200
    assert SubscriptionStatus.UNSUBSCRIBED in statuses(database).values()


def test_leaving_is_one_event_however_often_it_is_pressed(visitor, path, database):
    for _ in range(3):
        visitor.client.post(path, data={"List-Unsubscribe": "One-Click"})
    with database.read() as session:
        assert [event.kind for event in session.query(Event)] == [EventKind.UNSUBSCRIBED]


def test_it_can_be_undone(visitor, path, reader, database):
    done = visitor.press(visitor.get(path), path)
    back = visitor.press(done, f"{path}/undo")
    assert "Welcome back" in words(back)
    assert set(statuses(database).values()) == {SubscriptionStatus.ACTIVE}


def test_a_reason_is_kept_if_one_is_given(visitor, path, reader, database):
    done = visitor.press(visitor.get(path), path)
    thanks = visitor.press(done, f"{path}/reason", reason="Too many maps <script>")
    assert "Thank you" in words(thanks)
    with database.read() as session:
        reasons = {row.left_reason for row in session.query(Subscription)}
    assert "Too many maps <script>" in reasons


def test_a_reason_alone_does_not_unsubscribe(visitor, path, database):
    visitor.client.post(f"{path}/reason", data={"reason": "Testing"})
    assert set(statuses(database).values()) == {SubscriptionStatus.ACTIVE}


def test_a_reader_who_was_erased_has_left(visitor, path, database, settings):
    with database.transaction() as session:
        audience.erase(session, settings.secret, "ana@reader.example")
    assert "You are not subscribed" in words(visitor.get(path))
    assert visitor.client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200


def test_a_forged_token_is_a_page_and_nothing_else(visitor, path, database):
    before = dump(database)
    forged = path[:-1] + ("A" if path[-1] != "A" else "B")
    for response in (visitor.get(forged), visitor.client.post(forged, data={"List-Unsubscribe": "One-Click"})):
        assert response.status_code == 404
        assert "This link is not valid." in words(response)
    assert dump(database) == before


def test_the_page_offers_a_pause_instead(visitor, path):
    link = html(visitor.get(path)).css_first('a[href^="/p/"]').attributes["href"]
    assert "2 weeks" in words(visitor.get(link))
