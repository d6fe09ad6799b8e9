"""The pool."""

import datetime as dt

import pytest
from factories.articles import FeedServer, Reply, article
from factories.publications import publication
from factories.web import html, signed_in, words

from newsletter import articles, issues
from newsletter.articles import ArticleState
from newsletter.kit import clock
from newsletter.staff import Role
from newsletter.web.app import create_app

PATH = "/studio/newsletters/weekly/stories"
PAGE = b"""<!doctype html><html lang="en"><head><title>A bridge too many</title>
<meta property="og:title" content="A bridge too many"><meta property="og:type" content="article">
<meta property="og:description" content="Two ministries built it twice."></head>
<body><article><h1>A bridge too many</h1><p>Two ministries built the same bridge.</p></article></body></html>"""


@pytest.fixture
def weekly(database):
    with database.transaction() as session:
        weekly = publication(session, "weekly")
        for headline in ("Grain on the Danube", "A lithium town", "Grain and guns"):
            article(session, weekly.id, headline=headline)
        return weekly


def headlines(page) -> list[str]:
    return [node.text().strip() for node in html(page).css("h2.headline")]


def test_the_newest_stories_come_first_and_can_be_searched(writer, weekly):
    assert headlines(writer.get(PATH)) == ["Grain and guns", "A lithium town", "Grain on the Danube"]
    assert headlines(writer.get(f"{PATH}?q=grain")) == ["Grain and guns", "Grain on the Danube"]
    nothing = writer.get(f"{PATH}?q=submarines")
    assert "Nothing found" in words(nothing)


def test_a_long_pool_is_cut_into_pages_that_keep_the_search(writer, weekly, database):
    with database.transaction() as session:
        for number in range(60):
            article(session, weekly.id, headline=f"Tide table {number}")
    first = writer.get(f"{PATH}?q=tide")
    second = writer.get(html(first).css_first('a[rel="next"]').attributes["href"])
    assert (len(headlines(first)), len(headlines(second))) == (50, 10)


@pytest.mark.parametrize("state", [ArticleState.HELD, ArticleState.RULED_OUT])
def test_a_story_is_held_or_ruled_out_and_comes_back(writer, weekly, database, state):
    with database.read() as session:
        story = articles.pool(session, weekly.id, text="lithium").rows[0]
    action = f"{PATH}/{story.id}/rule"
    page = writer.follow(writer.press(writer.get(PATH), action, button={"state": state.value}))
    assert "A lithium town" not in headlines(page)
    apart = writer.get(f"{PATH}?state={state.value}")
    assert headlines(apart) == ["A lithium town"]
    back = writer.press(apart, action, button={"state": "pool"})
    assert back.headers["location"].startswith(f"{PATH}?")
    assert "A lithium town" in headlines(writer.get(PATH))


def test_a_story_of_another_newsletter_is_not_ruled_on(writer, weekly, database):
    with database.transaction() as session:
        other = article(session, publication(session, "other").id)
    token = html(writer.get(PATH)).css_first("[name=form_token]").attributes["value"]
    answer = writer.client.post(f"{PATH}/{other.id}/rule", data={"form_token": token, "state": "ruled_out"})
    assert answer.status_code == 404
    with database.read() as session:
        assert articles.view(session, [other.id])[other.id].state is ArticleState.POOL


def test_nonsense_is_refused(writer, weekly):
    assert writer.get(f"{PATH}?state=burnt").status_code == 422
    assert writer.get(f"{PATH}?after=x").status_code == 422


def test_stories_are_placed_from_here_into_the_open_issue(writer, weekly, database):
    with database.transaction() as session:
        draft = issues.draft(session, weekly.id)
        article(session, weekly.id, headline="Just in", first_seen_at=clock.now() + dt.timedelta(seconds=1))
    page = writer.get(PATH)
    assert headlines(page) == ["Just in"]
    writer.press(page, f"/studio/issues/{draft.id}/stories")
    with database.read() as session:
        placed = {one.headline for one in issues.get(session, draft.id).placements}
    assert "Just in" in placed
    assert "Nothing here" in words(writer.get(PATH))


def test_without_a_draft_there_is_nothing_to_add_to(writer, weekly):
    page = writer.get(PATH)
    assert "There is no draft to add to" in words(page)
    assert not html(page).css('form[action$="/stories"][data-swap]')


def test_a_story_is_added_by_its_address(settings, database, weekly):
    near = settings.model_copy(update={"fetch_allow": ("127.0.0.1",)})
    desk = signed_in(create_app(near, database), database, Role.WRITER)
    with FeedServer() as server:
        server.replies["/bridge"] = Reply(PAGE, headers={"Content-Type": "text/html"})
        page = desk.follow(desk.press(desk.get(PATH), PATH, url=server.url("/bridge")))
        assert "Added: A bridge too many" in words(page)
        assert headlines(page)[0] == "A bridge too many"
        refused = desk.press(page, PATH, url=server.url("/nothing"))
    assert refused.status_code == 422
    assert html(refused).css_first("#url").attributes["value"].endswith("/nothing")
    assert html(refused).css_first("#mistake").text().strip()
