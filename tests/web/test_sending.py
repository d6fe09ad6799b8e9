"""From the confirmation page to the last delivery."""

import datetime as dt
import re
import threading

import pytest
from factories import audience as subscribers
from factories import issues as made
from factories.publications import publication
from factories.web import html, problems, signed_in, words

from newsletter import delivery, issues, staff
from newsletter.delivery import DeliveryState, SendState
from newsletter.delivery.models import Delivery, Pace, Send
from newsletter.delivery.pace import paces
from newsletter.issues import IssueState
from newsletter.kit import clock
from newsletter.staff import Role
from newsletter.web.app import create_app


@pytest.fixture
def settings(settings, mailbox):
    return settings.model_copy(update={"smtp_url": (f"smtp://127.0.0.1:{mailbox.port}",)})


@pytest.fixture
def issue(database):
    """An approved issue with 30 readers."""
    with database.transaction() as session:
        weekly = publication(session, "weekly", timezone="America/New_York")
        view = made.issue(session, weekly, approved=True)
    subscribers.many(database, 30, weekly.id)
    return view


@pytest.fixture
def path(issue):
    return f"/studio/issues/{issue.id}/send"


@pytest.fixture
def send(editor, path, database, settings):
    """The send, with its audience frozen and nothing sent."""
    editor.press(editor.get(path), path)
    [send_id] = delivery.begin_due(database, settings)
    return send_id


def sends(database) -> list[Send]:
    with database.read() as session:
        return session.query(Send).all()


def test_the_page_says_to_how_many_before_anything_happens(editor, path, database):
    page = editor.get(path)
    assert "Send to 30 readers" in words(page)
    assert "The Meridian Review <desk@meridian.example>" in words(page)
    assert "in America/New_York" in words(page)
    assert sends(database) == []


def test_sending_is_one_press_and_a_second_press_is_the_same_send(editor, path, database):
    page = editor.get(path)
    answers = {editor.press(page, path).headers["location"] for _ in range(3)}
    assert len(answers) == 1
    assert len(sends(database)) == 1
    with database.read() as session:
        assert staff.audit_trail(session).rows[-1].action == "sent"


def test_fifty_presses_at_once_are_one_send(app, database, path, settings):
    person = signed_in(app, database, Role.EDITOR)
    page = person.get(path)
    answers = []

    def press():
        answers.append(person.press(page, path).status_code)

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {303}
    assert len(sends(database)) == 1


def test_a_later_time_is_a_wall_clock_time_of_the_newsletters_zone(editor, path, database, issue):
    answer = editor.press(editor.get(path), path, when="later", at="2027-01-15T15:00")
    assert sends(database)[0].send_at == dt.datetime(2027, 1, 15, 20, 0, tzinfo=dt.UTC)
    page = editor.follow(answer)
    assert "15 Jan 2027, 15:00" in words(page)
    with database.read() as session:
        assert issues.get(session, issue.id).state is IssueState.SCHEDULED


@pytest.mark.parametrize("at", ["", "tomorrow", "2027-13-01T00:00"])
def test_a_time_that_is_none_is_refused_and_kept(editor, path, database, at):
    answer = editor.press(editor.get(path), path, when="later", at=at)
    assert answer.status_code == 422
    assert "checked" in html(answer).css_first('input[value="later"]').attributes
    assert html(answer).css_first("#at").attributes["value"] == at or not at
    assert sends(database) == []


def test_what_changed_since_the_page_was_opened_is_not_sent(editor, path, database, issue):
    page = editor.get(path)
    with database.transaction() as session:
        issues.edit(session, issue.id, version=issue.version, subject="Changed")
        issues.approve(session, issue.id, by="somebody@meridian.example")
    answer = editor.press(page, path)
    assert answer.status_code == 409
    assert "has changed since you opened this page" in words(answer)
    assert sends(database) == []


def test_an_issue_that_nobody_approved_is_not_sent(editor, path, database, issue):
    page = editor.get(path)
    with database.transaction() as session:
        issues.unapprove(session, issue.id)
    assert "disabled" in html(editor.get(path)).css_first("form .primary").attributes
    answer = editor.press(page, path)
    assert answer.status_code == 409
    assert "approve it before it is sent" in words(answer)


def test_without_a_relay_the_page_says_what_is_missing(settings, database, path):
    none = settings.model_copy(update={"smtp_url": ()})
    desk = signed_in(create_app(none, database), database, Role.EDITOR)
    answer = desk.press(desk.get(path), path)
    assert answer.status_code == 409
    assert "NEWSLETTER_SMTP_URL" in words(answer)
    assert sends(database) == []


def identity(page) -> tuple[int, dict[str, int]]:
    """The line of figures on the page, taken apart."""
    line = html(page).css_first(".identity").text()
    whole, parts = line.split(" = ")
    figures = re.findall(r"(\w+) ([\d,]+)", parts)
    return int(whole.split()[-1].replace(",", "")), {name: int(count.replace(",", "")) for name, count in figures}


def test_the_figures_always_add_up_and_end_with_everyone_served(editor, send, database, settings, mailbox):
    mailbox.refused.add("reader3@example.org")
    page = editor.get(f"/studio/sends/{send}")
    assert identity(page) == (30, {**dict.fromkeys(map(str, DeliveryState), 0), "pending": 30})
    delivery.run(database, settings)
    page = editor.get(f"/studio/sends/{send}")
    audience, states = identity(page)
    assert audience == sum(states.values()) == 30
    assert (states["accepted"], states["refused"]) == (29, 1)
    assert "complete with 1 refused" in words(page)


def test_the_page_asks_for_itself_again_only_while_the_send_goes_on(editor, send, database, settings):
    going = editor.get(f"/studio/sends/{send}")
    assert html(going).css_first("[data-poll]") is not None
    assert re.search(r'<noscript>\s*<meta http-equiv="refresh" content="3">\s*</noscript>', going.text)
    delivery.run(database, settings)
    done = editor.get(f"/studio/sends/{send}")
    assert html(done).css_first("[data-poll]") is None
    assert "http-equiv" not in done.text


def test_a_send_is_paused_resumed_and_called_off(editor, send, database, mailbox, settings):
    path = f"/studio/sends/{send}"
    page = editor.follow(editor.press(editor.get(path), f"{path}/pause"))
    assert sends(database)[0].state is SendState.PAUSED
    delivery.run(database, settings)
    assert mailbox.received == []
    page = editor.follow(editor.press(page, f"{path}/resume"))
    assert sends(database)[0].state is SendState.SENDING
    page = editor.follow(editor.press(page, f"{path}/cancel"))
    assert sends(database)[0].state is SendState.CANCELLED
    assert identity(page)[1]["skipped"] == 30
    assert not html(page).css(f'form[action^="{path}/"]')


def test_what_was_refused_is_tried_again(editor, send, database, mailbox, settings):
    mailbox.refused.add("reader3@example.org")
    delivery.run(database, settings)
    mailbox.refused.clear()
    path = f"/studio/sends/{send}"
    editor.press(editor.get(path), f"{path}/retry")
    delivery.run(database, settings)
    assert identity(editor.get(path))[1]["accepted"] == 30
    assert len(mailbox.to("reader3@example.org")) == 1


def test_the_uncertain_are_a_decision_of_their_own(editor, send, database, settings):
    delivery.run(database, settings)
    with database.transaction() as session:
        session.get(Delivery, (send, 5)).state = DeliveryState.UNCERTAIN
    path = f"/studio/sends/{send}"
    page = html(editor.get(path))
    button = next(form for form in page.css(f'form[action="{path}/retry"]'))
    assert button.css_first("[name=uncertain]").attributes["value"] == "1"
    editor.press(editor.get(path), f"{path}/retry")
    assert identity(editor.get(path))[1]["pending"] == 1


def test_recipients_are_listed_by_state_with_their_evidence(editor, send, database, mailbox, settings):
    mailbox.refused.add("reader3@example.org")
    delivery.run(database, settings)
    path = f"/studio/sends/{send}/recipients"
    refused = editor.get(f"{path}?state=refused")
    [row] = html(refused).css("tbody tr")
    assert "reader3@example.org" in row.text()
    assert "550" in row.text()
    assert len(html(editor.get(f"{path}?state=accepted")).css("tbody tr")) == 29
    assert "Nobody" in words(editor.get(f"{path}?state=uncertain"))
    assert editor.get(f"{path}?state=lost").status_code == 422
    assert editor.get(path).status_code == 422


REPLY = "550 5.7.26 This mail has been blocked because the sender is unauthenticated."


@pytest.fixture
def mixed(editor, path, database, settings, issue):
    """A send with readers at three providers."""
    with database.transaction() as session:
        for address in ("ada@gmail.com", "ben@gmail.com", "eve@icloud.com"):
            subscribers.subscriber(session, subscribers.SECRET, address, issue.publication_id)
    editor.press(editor.get(path), path)
    [send_id] = delivery.begin_due(database, settings)
    return f"/studio/sends/{send_id}"


def lanes(page) -> dict[str, list[str]]:
    """The table by mailbox provider: provider to cells."""
    rows = html(page).css("#lanes tbody tr")
    return {row.css_first("th").text(): [" ".join(cell.text().split()) for cell in row.css("td")] for row in rows}


def test_the_page_shows_every_provider_with_its_readers(editor, mixed, database, settings):
    before = lanes(editor.get(mixed))
    assert list(before) == ["Gmail", "Apple", "Other providers"]
    assert before["Gmail"][:3] == ["2", "0", "2"]
    assert before["Other providers"][4] == "flowing"
    delivery.run(database, settings)
    after = lanes(editor.get(mixed))
    assert after["Other providers"][:3] == ["30", "30", "0"]
    assert after["Gmail"][5] == "done"


def test_a_paused_provider_is_explained_and_an_editor_resumes_it(editor, app, mixed, database):
    paces.pause(database, "gmail", 600.0, REPLY)
    page = editor.get(mixed)
    assert REPLY in lanes(page)["Gmail"][4]
    assert "Tried again at" in lanes(page)["Gmail"][4]
    assert lanes(page)["Gmail"][5] == "not known"
    assert "Gmail refuses us, so what is left for them waits" in html(page).css_first("#problem").text()
    assert not html(signed_in(app, database, Role.VIEWER).get(mixed)).css(f'form[action="{mixed}/pace"]')
    answer = editor.follow(editor.press(page, f"{mixed}/pace"))
    assert lanes(answer)["Gmail"][4] == "flowing"
    with database.read() as session:
        last = staff.audit_trail(session).rows[0]
    assert (last.action, last.subject) == ("resumed the pace", "pace:gmail")


def test_a_pace_that_does_not_exist_cannot_be_resumed(editor, mixed, database):
    paces.pause(database, "gmail", 600.0, REPLY)
    assert editor.press(editor.get(mixed), f"{mixed}/pace", provider="hotmail").status_code == 404


def test_limits_slowness_and_warm_up_are_said_in_words(editor, mixed, database):
    with database.transaction() as session:
        delivery.set_pace(session, "gmail", 600)
        session.add(Pace(name="apple", warming_since=clock.now().date(), day=clock.now().date(), spent=200))
    paces.slow(database, "other", 6000.0, "421 4.7.28 Too fast")
    shown = {name: cells[4] for name, cells in lanes(editor.get(mixed)).items()}
    assert shown["Gmail"] == "limited At most 600 a minute."
    assert shown["Apple"] == "until tomorrow The day's figure of the warm-up is reached."
    assert shown["Other providers"].startswith("slowed At most 3,0")
    assert "421 4.7.28 Too fast" in shown["Other providers"]


def test_what_a_provider_says_is_words(editor, mixed, database):
    """Threat T3."""
    payload = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    paces.pause(database, "gmail", 600.0, payload)
    page = editor.get(mixed)
    assert not problems(page)
    assert payload in html(page).body.text()


def test_a_viewer_watches_and_presses_nothing(app, database, send):
    viewer = signed_in(app, database, Role.VIEWER)
    page = viewer.get(f"/studio/sends/{send}")
    assert identity(page)[0] == 30
    assert [form.attributes["action"] for form in html(page).css("form")] == ["/sign-out"]
    assert viewer.get(f"/studio/sends/{send}/recipients?state=pending").status_code == 403


def test_what_a_mail_server_says_is_words(editor, send, database):
    """Threat T3."""
    payload = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    with database.transaction() as session:
        row = session.get(Delivery, (send, 1))
        row.state, row.code, row.reply, row.outcome_at = DeliveryState.REFUSED, 550, payload, clock.now()
        session.get(Send, send).problem = payload
    for page in (editor.get(f"/studio/sends/{send}/recipients?state=refused"), editor.get(f"/studio/sends/{send}")):
        assert not problems(page)
        assert payload in html(page).body.text()


def test_a_send_that_does_not_exist_is_a_page(editor):
    assert editor.get("/studio/sends/99").status_code == 404
    assert editor.get("/studio/issues/99/send").status_code == 404
