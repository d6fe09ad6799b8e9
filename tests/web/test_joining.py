"""Signing up and confirming (threats T10, T11)."""

import datetime as dt

import pytest
import time_machine
from factories import audience as readers
from factories import publications as titles
from factories.web import dump, html, words

from newsletter import audience
from newsletter.audience import SubscriptionStatus, SuppressionReason
from newsletter.audience.models import Consent, Subscription
from newsletter.kit import clock
from newsletter.notices.models import Notice
from newsletter.web.public.joining import TRAP, WORDING


@pytest.fixture
def weekly(database):
    with database.transaction() as session:
        return titles.publication(session, "weekly", name="The Weekly", tagline="Read slowly")


@pytest.fixture
def traveller():
    with time_machine.travel(clock.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def page(visitor, weekly, traveller):
    """The form, and two seconds to type into it."""
    page = visitor.get("/n/weekly")
    traveller.shift(2)
    return page


def notices(database):
    with database.read() as session:
        return [(notice.kind, notice.to_address, dict(notice.facts)) for notice in session.query(Notice)]


def confirm_path(database) -> str:
    [(_, _, facts)] = notices(database)
    return facts["confirm_url"].removeprefix("http://news.example.test")


def test_one_field_and_one_button(visitor, page):
    assert "The Weekly" in words(page)
    assert "Read slowly" in words(page)
    seen = [field for field in html(page).css("form input") if field.attributes.get("type") != "hidden"]
    assert [field.attributes["name"] for field in seen if field.attributes["name"] != TRAP] == ["email"]


def test_signing_up_asks_for_a_confirmation(visitor, page, database):
    answer = visitor.press(page, "/n/weekly", email="Ana@Reader.example")
    assert answer.status_code == 200
    assert "Check your mail" in words(answer)
    assert [(kind, to) for kind, to, _ in notices(database)] == [("confirm", "Ana@reader.example")]
    with database.read() as session:
        consent = session.query(Consent).one()
    assert (consent.kind, consent.wording, consent.source) == ("asked", WORDING, "sign-up page")
    assert consent.network_hash == ""  # the test client has no address; a real one is hashed


def test_the_answer_is_the_same_whoever_asks(visitor, page, database, settings, weekly):
    with database.transaction() as session:
        readers.subscriber(session, settings.secret, "known@reader.example", weekly.id)
        address, reason = "blocked@reader.example", SuppressionReason.COMPLAINED
        audience.suppress(session, settings.secret, address=address, reason=reason)
    answers = {
        visitor.press(page, "/n/weekly", email=f"{who}@reader.example").text.replace(who, "somebody")
        for who in ("unknown", "known", "blocked", "unknown")
    }
    assert len(answers) == 1


def test_an_address_that_is_none_is_refused_and_kept(visitor, page, database):
    answer = visitor.press(page, "/n/weekly", email="ana@")
    assert answer.status_code == 422
    field = html(answer).css_first("#email")
    assert field.attributes["value"] == "ana@"
    assert field.attributes["aria-invalid"] == "true"
    assert notices(database) == []


def test_a_machine_that_fills_every_field_gets_nowhere_and_does_not_learn_it(visitor, page, database):
    before = dump(database)
    answer = visitor.press(page, "/n/weekly", **{"email": "ana@reader.example", TRAP: "http://spam.example"})
    assert "Check your mail" in words(answer)
    assert dump(database) == before


def test_a_form_that_comes_back_at_once_must_be_sent_once_more(visitor, weekly, traveller, database):
    page = visitor.get("/n/weekly")
    answer = visitor.press(page, "/n/weekly", email="ana@reader.example")
    assert answer.status_code == 422
    assert notices(database) == []
    traveller.shift(2)
    again = visitor.press(answer, "/n/weekly", email="ana@reader.example")
    assert "Check your mail" in words(again)


@pytest.mark.parametrize("made", ["", "forged", "AAAA"])
def test_a_form_that_is_not_ours_must_be_sent_once_more(visitor, page, database, made):
    assert visitor.press(page, "/n/weekly", email="ana@reader.example", made=made).status_code == 422
    assert notices(database) == []


def test_a_form_of_another_newsletter_or_of_yesterday_does_not_count(visitor, page, database, traveller):
    with database.transaction() as session:
        titles.publication(session, "other")
    fields = {"email": "ana@reader.example", "made": html(page).css_first("[name=made]").attributes["value"]}
    assert visitor.client.post("/n/other", data=fields).status_code == 422
    traveller.shift(dt.timedelta(days=2))
    assert visitor.client.post("/n/weekly", data=fields).status_code == 422


def test_the_link_shows_a_button_and_the_button_confirms(visitor, page, database):
    visitor.press(page, "/n/weekly", email="ana@reader.example")
    path = confirm_path(database)
    before = dump(database)
    for _ in range(3):
        shown = visitor.get(path)
        visitor.client.head(path)
    assert dump(database) == before
    assert "a…@reader.example" in words(shown)
    assert "ana@reader.example" not in shown.text
    done = visitor.press(shown, path)
    assert "You are subscribed" in words(done)
    with database.read() as session:
        assert session.query(Subscription).one().status is SubscriptionStatus.ACTIVE
    assert "gets The Weekly already" in words(visitor.get(path))
    assert visitor.client.post(path).status_code == 200  # pressing twice is no mistake


def test_confirming_is_greeted_once_with_the_way_out(visitor, page, database):
    visitor.press(page, "/n/weekly", email="ana@reader.example")
    path = confirm_path(database)
    for _ in range(2):
        visitor.client.post(path)
    [welcome] = [facts for kind, _, facts in notices(database) if kind == "welcome"]
    leave = visitor.get(welcome["leave_url"].removeprefix("http://news.example.test"))
    assert "Unsubscribe from The Weekly?" in words(leave)


def test_an_old_link_says_so_and_confirms_nothing(visitor, page, database, traveller):
    visitor.press(page, "/n/weekly", email="ana@reader.example")
    path = confirm_path(database)
    traveller.shift(dt.timedelta(days=8))
    assert "This link is too old" in words(visitor.get(path))
    late = visitor.client.post(path)
    assert late.status_code == 409
    assert "expired" in words(late)
    with database.read() as session:
        assert session.query(Subscription).one().status is SubscriptionStatus.PENDING


def test_the_preferences_are_one_step_away_after_confirming(visitor, page, database):
    visitor.press(page, "/n/weekly", email="ana@reader.example")
    done = visitor.client.post(confirm_path(database))
    link = html(done).css_first('a[href^="/p/"]').attributes["href"]
    assert "ana@reader.example" in words(visitor.get(link))


def test_the_page_asks_no_other_server_and_runs_no_script(page):
    tree = html(page)
    assert not tree.css("script")
    addresses = [node.attributes.get("href") or node.attributes.get("src") for node in tree.css("link, img, script")]
    assert all(address.startswith(("/", "http://news.example.test/")) for address in addresses)


def test_reader_pages_are_light(visitor, page, app):
    styles = sum(len(visitor.get(node.attributes["href"]).content) for node in html(page).css('link[rel="stylesheet"]'))
    assert len(page.content) + styles <= 30_000


def test_an_unknown_newsletter_tells_nothing_about_the_others(visitor, weekly):
    response = visitor.get("/n/nothing")
    assert response.status_code == 404
    assert "weekly" not in response.text.lower()
