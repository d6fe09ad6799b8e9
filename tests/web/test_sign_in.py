import datetime as dt

import pytest
import time_machine
from factories import staff as people
from factories.web import Person, html, signed_in, words

from newsletter import staff
from newsletter.kit import clock
from newsletter.staff import Role

EMAIL = "editor@meridian.example"


@pytest.fixture
def member(database):
    with database.transaction() as session:
        return people.member(session, EMAIL, password=people.PASSWORD)


@pytest.fixture
def link(database, member):
    with database.transaction() as session:
        return staff.login_link(session, member.id)


def test_the_front_door_leads_to_the_studio_and_so_to_signing_in(visitor):
    assert visitor.get("/").headers["location"] == "/studio"
    assert visitor.get("/studio").headers["location"] == "/sign-in?next=%2Fstudio"


def test_the_right_password_leads_back_to_the_page_that_was_asked_for(visitor, member):
    page = visitor.follow(visitor.get("/studio/trail?subject=issue:1"))
    response = visitor.press(page, "/sign-in", email=EMAIL, password=people.PASSWORD)
    assert response.headers["location"] == "/studio/trail?subject=issue:1"
    assert visitor.get("/studio").status_code == 200


def test_a_wrong_password_keeps_the_address_and_says_no_more_than_that(visitor, member):
    answers = []
    for email in (EMAIL, "nobody@meridian.example"):
        response = visitor.press(visitor.get("/sign-in"), "/sign-in", email=email, password="wrong horse battery")
        assert response.status_code == 403
        assert html(response).css_first("#email").attributes["value"] == email
        answers.append(words(response))
    assert answers[0] == answers[1]
    assert visitor.get("/studio").status_code == 303


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_nobody_is_sent_to_another_site(visitor, member, onward):
    page = visitor.client.get("/sign-in", params={"next": onward})
    response = visitor.press(page, "/sign-in", email=EMAIL, password=people.PASSWORD)
    assert response.headers["location"] == "/studio"
    response = visitor.press(visitor.get("/studio/account"), "/sign-out")
    typed = visitor.press(visitor.get("/sign-in"), "/sign-in", email=EMAIL, password=people.PASSWORD, next=onward)
    assert typed.headers["location"] == "/studio"


def test_a_form_from_another_browser_signs_nobody_in(app, visitor, member):
    mine = visitor.get("/sign-in")
    other = Person(app)
    other.get("/sign-in")
    assert other.press(mine, "/sign-in", email=EMAIL, password=people.PASSWORD).status_code == 403
    bare = Person(app)
    assert bare.press(mine, "/sign-in", email=EMAIL, password=people.PASSWORD).status_code == 403


def test_every_sign_in_has_a_new_key(visitor, member):
    keys = set()
    for _ in range(2):
        visitor.sign_in(EMAIL)
        keys.add(visitor.client.cookies["newsletter-session"])
        visitor.press(visitor.get("/studio/account"), "/sign-out")
    assert len(keys) == 2


def test_a_key_that_somebody_planted_is_not_taken_over(visitor, member):
    visitor.client.cookies.set("newsletter-session", "planted")
    page = visitor.get("/sign-in")
    response = visitor.press(page, "/sign-in", email=EMAIL, password=people.PASSWORD)
    assert "newsletter-session=planted" not in response.headers["set-cookie"]
    planted = Person(visitor.client.app)
    planted.client.cookies.set("newsletter-session", "planted")
    assert planted.get("/studio").status_code == 303


def test_signing_out_ends_the_session_itself(app, visitor, member):
    visitor.sign_in(EMAIL)
    key = visitor.client.cookies["newsletter-session"]
    page = visitor.follow(visitor.press(visitor.get("/studio/account"), "/sign-out"))
    assert "You have signed out." in words(page)
    thief = Person(app)
    thief.client.cookies.set("newsletter-session", key)
    assert thief.get("/studio").status_code == 303


def test_a_session_lasts_while_it_is_used_and_then_ends(app, database, member):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        person = signed_in(app, database, Role.EDITOR)
        traveller.shift(dt.timedelta(days=13))
        assert person.get("/studio").status_code == 200
        traveller.shift(dt.timedelta(days=2))
        assert person.get("/studio").status_code == 303


def test_opening_a_link_uses_nothing_up_and_pressing_its_button_does(app, visitor, link):
    path = f"/sign-in/link/{link}"
    for _ in range(3):
        page = visitor.get(path)
        visitor.client.head(path)
    assert visitor.get("/studio").status_code == 303
    assert visitor.press(page, path).headers["location"] == "/studio"
    assert visitor.get("/studio").status_code == 200
    late = Person(app)
    response = late.press(late.get(path), path)
    assert response.status_code == 404
    assert "used already" in words(response)


def test_whoever_has_no_password_is_reminded_and_can_set_one(app, visitor, database):
    with database.transaction() as session:
        newcomer = people.member(session, "new@meridian.example", Role.ADMIN)
        key = staff.login_link(session, newcomer.id)
    page = visitor.follow(visitor.press(visitor.get(f"/sign-in/link/{key}"), f"/sign-in/link/{key}"))
    assert "You have no password yet." in words(page)
    account = visitor.get("/studio/account")
    weak = visitor.press(account, "/studio/account/password", password="short")
    assert weak.status_code == 422
    done = visitor.follow(visitor.press(account, "/studio/account/password", password="four words in a row"))
    assert "The password is set." in words(done)
    assert "no password yet" not in words(visitor.get("/studio"))
    Person(app).sign_in("new@meridian.example", "four words in a row")


def test_a_new_password_signs_out_every_other_browser(app, database, member):
    here, there = signed_in(app, database, Role.EDITOR), signed_in(app, database, Role.EDITOR)
    page = here.get("/studio/account")
    wrong = here.press(page, "/studio/account/password", current="wrong", password="four words in a row")
    assert wrong.status_code == 403
    assert there.get("/studio").status_code == 200
    here.press(page, "/studio/account/password", current=people.PASSWORD, password="four words in a row")
    assert here.get("/studio").status_code == 200
    assert there.get("/studio").status_code == 303


def test_whoever_came_by_link_need_not_know_the_old_password(visitor, member, link):
    visitor.press(visitor.get(f"/sign-in/link/{link}"), f"/sign-in/link/{link}")
    account = visitor.get("/studio/account")
    assert html(account).css_first("#current") is None
    response = visitor.press(account, "/studio/account/password", password="four words in a row")
    assert response.status_code == 303


def test_signing_in_is_noted(app, database, member):
    Person(app).sign_in(EMAIL)
    with database.read() as session:
        row = staff.audit_trail(session).rows[0]
    assert (row.actor, row.action) == (EMAIL, "signed in")
