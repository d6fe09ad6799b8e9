import pytest
from factories import audience as subscribers
from factories.publications import publication
from factories.web import html, problems, words

from newsletter import audience, staff
from newsletter.audience.models import Subscription
from newsletter.db import now
from newsletter.events.models import Event, EventKind

PATH = "/studio/newsletters/weekly/readers"


@pytest.fixture
def weekly(database, settings):
    with database.transaction() as session:
        weekly = publication(session, "weekly")
        for name in ("ana", "ben", "bea"):
            subscribers.subscriber(session, settings.secret, f"{name}@reader.example", weekly.id)
        status = audience.SubscriptionStatus.BOUNCED
        subscribers.subscriber(session, settings.secret, "gone@reader.example", weekly.id, status)
        return weekly


def addresses(page) -> list[str]:
    return [node.text() for node in html(page).css("tbody th a")]


def one(page, name) -> str:
    return next(
        node.attributes["href"] for node in html(page).css("tbody th a") if node.text() == f"{name}@reader.example"
    )


def test_readers_are_found_by_a_part_of_the_address_and_by_status(editor, weekly):
    assert len(addresses(editor.get(PATH))) == 4
    assert addresses(editor.get(f"{PATH}?q=BE")) == ["ben@reader.example", "bea@reader.example"]
    assert addresses(editor.get(f"{PATH}?status=bounced")) == ["gone@reader.example"]
    assert "Nobody found" in words(editor.get(f"{PATH}?q=nobody"))
    assert editor.get(f"{PATH}?status=dead").status_code == 422


def test_long_lists_are_cut_into_pages_that_keep_the_search(editor, weekly, database):
    subscribers.many(database, 120, weekly.id)
    path, found = f"{PATH}?q=example.org&status=active", []
    while path:
        page = editor.get(path)
        found += addresses(page)
        following = html(page).css_first('a[rel="next"]')
        path = following.attributes["href"] if following else ""
    assert len(found) == len(set(found)) == 120


def test_one_reader_is_shown_with_history_and_mail(editor, database, week):
    page = editor.get(f"/studio/readers/{week.reader}")
    text = words(page)
    assert "clicked" in text
    assert "opened" in text
    assert "No. 1" in text


def test_no_address_stands_in_the_address_of_a_page(editor, weekly):
    page = editor.get(PATH)
    assert not [node for node in html(page).css("a") if "%40" in (href := node.attributes["href"]) or "@" in href]


def test_mail_to_a_reader_is_stopped_and_allowed_again(editor, weekly, database, settings):
    path = one(editor.get(PATH), "ana")
    page = editor.follow(editor.press(editor.get(path), f"{path}/suppress", evidence="Asked by telephone"))
    assert "No more mail will be sent" in words(page)
    assert "Asked by telephone (editor@meridian.example)" in words(page)
    with database.read() as session:
        assert audience.counts(session, weekly.id).eligible == 2
    page = editor.follow(editor.press(page, f"{path}/release"))
    with database.read() as session:
        assert audience.counts(session, weekly.id).eligible == 3
        assert [row.action for row in staff.audit_trail(session).rows][:2] == [
            "allowed mail to a reader again",
            "stopped mail to a reader",
        ]


def test_a_reason_is_needed(editor, weekly):
    path = one(editor.get(PATH), "ana")
    assert editor.press(editor.get(path), f"{path}/suppress", evidence=" ").status_code == 422


def test_who_is_no_editor_sees_figures_and_no_addresses(writer, weekly):
    assert writer.get(PATH).status_code == 403
    assert "@reader.example" not in writer.get("/studio/newsletters/weekly").text


def test_payloads_in_what_readers_and_servers_say_are_words(editor, weekly, database, settings):
    """Threat T3: names, attributes, reasons and the replies of mail servers."""
    payload = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    fields = {"first_name": payload[:120], "last_name": payload[:120], "attributes": {payload: payload}}
    with database.transaction() as session:
        person = subscribers.subscriber(session, settings.secret, "eve@reader.example", weekly.id, **fields)
        reader = audience.Reader(weekly.id, person.id)
        audience.leave(session, reader, via=payload, reason=payload)
        session.add(Event(at=session.scalar(now()), kind=EventKind.BOUNCED, subscriber_id=person.id, detail=payload))
        session.query(Subscription).filter_by(subscriber_id=person.id).one().source = payload
    for path in (PATH, f"/studio/readers/{person.id}"):
        page = editor.get(path)
        assert not problems(page)
        assert payload[:60] in words(page) or payload[:60] in html(page).body.text()
