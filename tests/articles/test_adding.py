import pytest
from factories.articles import ALLOW, item, rss

from newsletter import articles
from newsletter.articles import ArticleState
from newsletter.errors import FeedError, FetchError, UnsafeAddress

PAGE = """<!DOCTYPE html><html lang="en"><head><meta property="og:title" content="Who mends the cables?">
<meta property="og:description" content="Insurers, not navies, decide which cut is mended first.">
<meta name="author" content="Teo Marchetti"></head><body><h1>Who mends the cables?</h1></body></html>"""


@pytest.fixture
def page(server) -> str:
    return server.serve("/2026/cables", PAGE, content_type="text/html; charset=utf-8")


def test_a_story_is_added_by_its_address(database, publication_id, page):
    added = articles.add_url(database, publication_id, page + "?utm_source=chat#top", ALLOW)
    assert (added.headline, added.byline, added.canonical_url) == ("Who mends the cables?", "Teo Marchetti", page)
    assert added.dek == "Insurers, not navies, decide which cut is mended first."
    with database.read() as session:
        (row,) = articles.pool(session, publication_id).rows
    assert (row.id, row.sources) == (added.id, ())


def test_a_story_added_twice_is_one_and_comes_back_to_the_pool(database, publication_id, page):
    first = articles.add_url(database, publication_id, page, ALLOW)
    with database.transaction() as session:
        articles.rule(session, first.id, ArticleState.RULED_OUT)
    again = articles.add_url(database, publication_id, page, ALLOW)
    assert (again.id, again.state) == (first.id, ArticleState.POOL)


def test_a_story_that_a_feed_has_told_is_that_article(database, publication_id, page, server):
    with database.transaction() as session:
        feed = server.serve("/feed", rss(item("Cables, and who mends them", page, guid="c")))
        source_id = articles.add_source(session, publication_id, feed).id
    articles.collect(database, source_id, allow=ALLOW)
    added = articles.add_url(database, publication_id, page, ALLOW)
    assert added.headline == "Cables, and who mends them"
    assert added.byline == "Teo Marchetti"  # the feed told none


def test_what_is_no_articles_page_says_so(database, publication_id, server):
    def add(url):
        return articles.add_url(database, publication_id, url, ALLOW)

    with pytest.raises(FeedError, match="answers with application/pdf, not with a web page"):
        add(server.serve("/report", b"%PDF-1.7", content_type="application/pdf"))
    with pytest.raises(FeedError, match="No headline was found"):
        add(server.serve("/empty", "<html></html>", content_type="text/html"))
    with pytest.raises(FetchError, match="404"):
        add(server.url("/nothing"))
    with pytest.raises(UnsafeAddress):
        articles.add_url(database, publication_id, server.url("/empty"), ())
    with database.read() as session:
        assert articles.pool(session, publication_id).rows == []
