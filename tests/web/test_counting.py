"""Counted links and pixels (threat T8)."""

import pytest
from factories.web import words
from starlette.testclient import TestClient

from newsletter import editions
from newsletter.delivery.tracking import Marks
from newsletter.events.models import Event, EventKind, Verdict

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}


@pytest.fixture
def token(week, settings):
    return Marks(settings.secret).track_token(week.send, 5)


@pytest.fixture
def client(app):
    """A client whose end makes the application write down what it has counted."""
    with TestClient(app, base_url="http://news.example.test", follow_redirects=False) as client:
        yield client


def hits(database, token_seq=5):
    with database.read() as session:
        return [
            (event.kind, event.link, event.verdict) for event in session.query(Event).filter_by(seq=token_seq).all()
        ]


def test_a_click_leads_to_the_story_and_is_counted(app, week, token, database):
    with TestClient(app, base_url="http://news.example.test", follow_redirects=False) as client:
        answer = client.get(f"/c/{token}/1", headers=PERSON)
    with database.read() as session:
        target = editions.latest(session, week.sent_issue).links[0].url
    assert answer.status_code == 302
    assert answer.headers["location"] == target
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    [(kind, link, _)] = hits(database)
    assert (kind, link) == (EventKind.CLICKED, 1)


def test_a_look_ahead_is_answered_and_told_apart(app, token, database):
    with TestClient(app, base_url="http://news.example.test", follow_redirects=False) as client:
        assert client.head(f"/c/{token}/1", headers=PERSON).status_code == 302
        assert client.get(f"/o/{token}.gif", headers={**PERSON, "sec-purpose": "prefetch;prerender"}).status_code == 200
    assert {verdict for _, _, verdict in hits(database)} <= {Verdict.SCANNER, Verdict.PREFETCH}


@pytest.mark.parametrize("n", ["0", "999", "-1", "1.5", "x", "%2e%2e"])
def test_a_number_that_is_no_link_leads_nowhere(client, token, n):
    answer = client.get(f"/c/{token}/{n}")
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "forged", ["", "x", "AAAA", "//evil.example", "https:%2f%2fevil.example", "\\\\evil.example", "javascript:alert(1)"]
)
def test_a_forged_token_leads_nowhere(client, week, forged):
    answer = client.get(f"/c/{forged}/1?url=https://evil.example&next=//evil.example")
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_a_token_that_was_touched_leads_nowhere(client, token):
    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    answer = client.get(f"/c/{changed}/1")
    assert answer.status_code == 404
    assert "This link is not valid." in words(answer)


def test_a_link_whose_target_became_dangerous_leads_nowhere(client, week, token, database):
    with database.transaction() as session:
        edition = editions.latest(session, week.sent_issue)
        session.get(editions.models.EditionLink, (edition.id, 1)).url = "javascript:alert(1)"
    assert client.get(f"/c/{token}/1").status_code == 404


def test_the_picture_is_43_bytes_and_never_kept(app, token, database):
    with TestClient(app, base_url="http://news.example.test") as client:
        answer = client.get(f"/o/{token}.gif", headers=PERSON)
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == 43
    assert answer.content.startswith(b"GIF89a")
    assert "cross-origin-resource-policy" not in answer.headers  # webmail shows it from its own origin
    assert [kind for kind, _, _ in hits(database)] == [EventKind.OPENED]


def test_a_mail_never_shows_a_broken_picture(app, database, week):
    with TestClient(app, base_url="http://news.example.test") as client:
        answer = client.get("/o/forged.gif", headers=PERSON)
    assert len(answer.content) == 43
    assert hits(database) == []
