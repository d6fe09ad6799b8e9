"""One newsletter's page: sources and their health, collecting, drafting."""

import pytest
from factories.articles import FeedServer, Reply, item, rss
from factories.publications import publication
from factories.web import html, signed_in, words

from newsletter import articles, issues
from newsletter.staff import Role
from newsletter.web.app import create_app

PATH = "/studio/newsletters/weekly"


@pytest.fixture
def weekly(database):
    with database.transaction() as session:
        return publication(session, "weekly")


@pytest.fixture
def feeds():
    with FeedServer() as running:
        running.serve("/feed", rss(item("Ferry talks", "https://meridian.example/1"), title="The Meridian"))
        yield running


@pytest.fixture
def desk(settings, database, weekly):
    """An editor of an installation that may fetch from this machine."""
    near = settings.model_copy(update={"fetch_allow": ("127.0.0.1",)})
    return signed_in(create_app(near, database), database, Role.EDITOR)


def add(desk, url, **fields):
    return desk.press(desk.get(PATH), f"{PATH}/sources", url=url, **fields)


def test_a_source_is_read_as_soon_as_it_is_added(desk, feeds, database, weekly):
    page = desk.follow(add(desk, feeds.url("/feed"), section="Europe"))
    assert "Found 1 new story." in words(page)
    row = html(page).css_first("#sources li")
    assert "The Meridian" in row.text()
    assert row.css_first(".chip").text() == "healthy"
    with database.read() as session:
        assert [one.section for one in articles.sources(session, weekly.id)] == ["Europe"]


def test_a_source_that_cannot_be_read_says_why_where_the_editor_looks(desk, feeds):
    feeds.replies["/page"] = Reply(b"<html><body>No feed</body></html>", headers={"Content-Type": "text/html"})
    page = desk.follow(add(desk, feeds.url("/page")))
    assert "could not be read" in words(page)
    assert html(page).css_first("#sources .chip").text() == "problem"
    assert html(page).css_first("#sources .mistake").text().strip()


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "not an address", "ftp://example.org/feed"])
def test_what_is_no_address_is_refused_and_kept(desk, url):
    answer = add(desk, url)
    assert answer.status_code == 422
    assert html(answer).css_first("#url").attributes["value"] == url


def test_a_private_address_is_refused(app, database, weekly):
    editor = signed_in(app, database, Role.EDITOR)
    with FeedServer() as running:
        page = editor.follow(add(editor, running.url("/feed")))
        assert "could not be read" in words(page)
        assert running.requests == []


def test_everything_is_collected_at_one_press_and_one_dead_source_stops_nobody(desk, feeds):
    add(desk, feeds.url("/feed"))
    add(desk, feeds.url("/gone"))
    feeds.serve("/feed", rss(item("Another", "https://meridian.example/2"), title="The Meridian"))
    page = desk.follow(desk.press(desk.get(PATH), f"{PATH}/collect"))
    assert "Found 1 new story; 1 source could not be read." in words(page)


def test_collecting_without_sources_says_so(desk):
    assert "There is no source yet." in words(desk.follow(desk.press(desk.get(PATH), f"{PATH}/collect")))


def test_a_source_is_paused_taken_up_again_and_removed(desk, feeds, database, weekly):
    page = desk.follow(add(desk, feeds.url("/feed")))
    with database.read() as session:
        [source] = articles.sources(session, weekly.id)
    action = f"{PATH}/sources/{source.id}"
    for wish, active in (("pause", False), ("resume", True)):
        page = desk.follow(desk.press(page, action, button={"do": wish}))
        with database.read() as session:
            assert [one.active for one in articles.sources(session, weekly.id)] == [active]
    desk.press(page, action, button={"do": "remove"})
    with database.read() as session:
        assert articles.sources(session, weekly.id) == []
        assert len(articles.pool(session, weekly.id).rows) == 1


def test_the_source_of_another_newsletter_is_not_touched(desk, feeds, database):
    with database.transaction() as session:
        other = publication(session, "other")
        source = articles.add_source(session, other.id, "https://other.example/feed")
    token = html(desk.get(PATH)).css_first("[name=form_token]").attributes["value"]
    answer = desk.client.post(f"{PATH}/sources/{source.id}", data={"form_token": token, "do": "remove"})
    assert answer.status_code == 404
    with database.read() as session:
        assert len(articles.sources(session, other.id)) == 1


def test_a_draft_is_one_press_and_pressing_again_opens_it(desk, feeds, database, weekly):
    add(desk, feeds.url("/feed"))
    first = desk.press(desk.get(PATH), f"{PATH}/draft")
    second = desk.press(desk.get(PATH), f"{PATH}/draft")
    assert first.headers["location"] == second.headers["location"]
    assert "Ferry talks" in words(desk.follow(first))
    with database.read() as session:
        assert len(issues.listing(session, weekly.id).rows) == 1


def test_an_empty_week_makes_no_failure(desk):
    answer = desk.press(desk.get(PATH), f"{PATH}/draft")
    assert answer.status_code in (303, 409)
    assert desk.follow(answer).status_code in (200, 409)
