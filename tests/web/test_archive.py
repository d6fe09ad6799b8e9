"""What anybody may read: past issues, the feed, the look of a newsletter."""

import feedparser
import pytest
from factories import issues as made
from factories import publications as titles
from factories.web import html, words

from newsletter import editions, issues
from newsletter.issues import IssueState

XSS = '<script>alert("x")</script>'


@pytest.fixture
def weekly(database):
    with database.transaction() as session:
        return titles.publication(session, "weekly", name="The Weekly & Co", brand={"accent": "#0b5c63"})


def publish(database, weekly, *, subject: str, state: IssueState = IssueState.SENT):
    """An issue that readers have got."""
    with database.transaction() as session:
        view = made.issue(session, weekly)
        view = issues.edit(session, view.id, version=view.version, subject=subject, preheader="In short")
        issues.approve(session, view.id, by="editor@meridian.example")
        editions.freeze(session, view.id, base_url="http://news.example.test")
        if state is not IssueState.APPROVED:
            issues.transition(session, view.id, IssueState.SENDING)
        if state is IssueState.SENT:
            issues.transition(session, view.id, IssueState.SENT)
        return view


def test_only_what_was_sent_is_public(visitor, database, weekly):
    sent = publish(database, weekly, subject="The first")
    waiting = publish(database, weekly, subject="The second", state=IssueState.APPROVED)
    page = visitor.get("/n/weekly")
    assert "The first" in words(page)
    assert "The second" not in page.text
    assert visitor.get(f"/n/weekly/{sent.number}").status_code == 200
    assert visitor.get(f"/n/weekly/{waiting.number}").status_code == 404
    assert visitor.get("/n/weekly/99").status_code == 404


def test_the_archive_is_cut_into_pages(visitor, database, weekly):
    for number in range(22):
        publish(database, weekly, subject=f"Issue number {number}.")
    first = visitor.get("/n/weekly")
    assert "Issue number 21." in first.text
    assert "Issue number 1." not in first.text
    older = visitor.get(html(first).css_first('a[rel="next"]').attributes["href"])
    assert "Issue number 1." in older.text
    assert "Issue number 21." not in older.text
    assert html(older).css_first('a[rel="next"]') is None


def test_the_web_version_is_kept_by_browsers_and_asked_for_again(visitor, database, weekly):
    view = publish(database, weekly, subject="The first")
    path = f"/n/weekly/{view.number}"
    page = visitor.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    again = visitor.get(path, **{"if-none-match": page.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_the_web_version_runs_nothing_and_is_not_on_our_origin(visitor, database, weekly):
    view = publish(database, weekly, subject="The first")
    policy = visitor.get(f"/n/weekly/{view.number}").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


def test_no_public_page_holds_a_readers_token(visitor, database, weekly):
    view = publish(database, weekly, subject="The first")
    for path in ("/n/weekly", f"/n/weekly/{view.number}", "/n/weekly/feed.xml"):
        text = visitor.get(path).text
        assert not any(f"{kind}" in text for kind in ("/u/", "/p/", "/c/", "/o/", "/confirm/"))


def test_the_feed_can_be_read(visitor, database, weekly):
    publish(database, weekly, subject="Older")
    newer = publish(database, weekly, subject=f"Newer {XSS} & so on")
    response = visitor.get("/n/weekly/feed.xml")
    assert response.headers["content-type"] == "application/rss+xml; charset=utf-8"
    feed = feedparser.parse(response.content)
    assert not feed.bozo
    assert feed.feed.title == "The Weekly & Co"
    assert feed.entries[0].link == f"http://news.example.test/n/weekly/{newer.number}"
    assert len(feed.entries) == 2
    assert feed.entries[0].published_parsed is not None
    assert visitor.get("/n/weekly/feed.xml", **{"if-none-match": response.headers["etag"]}).status_code == 304


def test_words_of_an_issue_are_words_in_the_archive(visitor, database, weekly):
    publish(database, weekly, subject=f"Peace {XSS}")
    page = visitor.get("/n/weekly")
    assert f"Peace {XSS}" in words(page)
    assert not html(page).css("script")


def test_pages_wear_the_newsletters_colours(visitor, database, weekly):
    page = visitor.get("/n/weekly")
    path = next(
        node.attributes["href"] for node in html(page).css("link") if "brand.css" in (node.attributes["href"] or "")
    )
    styles = visitor.get(path)
    assert styles.headers["content-type"].startswith("text/css")
    assert "--accent: #0b5c63;" in styles.text
    assert "immutable" in styles.headers["cache-control"]
    assert visitor.get("/n/weekly/brand.css?v=old").headers["cache-control"] == "no-cache"


def test_a_tag_for_the_readers_name_shows_its_default(visitor, database, weekly):
    publish(database, weekly, subject='For you, {{ first_name | default("reader") }}')
    assert "For you, reader" in words(visitor.get("/n/weekly"))
