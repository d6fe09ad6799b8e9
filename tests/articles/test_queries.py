import datetime as dt

import pytest
from factories.articles import article, source
from factories.publications import publication

from newsletter import articles
from newsletter.articles import ArticleState
from newsletter.articles.models import Sighting
from newsletter.errors import NotFound
from newsletter.kit import clock

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def headlines(page) -> list[str]:
    return [row.headline for row in page.rows]


def test_the_pool_is_what_was_not_held_ruled_out_or_excluded(session, publication_id):
    kept, held, out, used = (article(session, publication_id) for _ in range(4))
    article(session, publication(session, slug="daily").id)
    articles.rule(session, held.id, ArticleState.HELD)
    articles.rule(session, out.id, ArticleState.RULED_OUT)
    page = articles.pool(session, publication_id, exclude_ids={used.id})
    assert [row.id for row in page.rows] == [kept.id]
    assert [row.id for row in articles.pool(session, publication_id, state=ArticleState.HELD).rows] == [held.id]


def test_the_newest_first_seen_comes_first_whatever_the_ids(session, publication_id):
    for name, hours in (("b", 2), ("d", 4), ("a", 1), ("c", 3)):
        article(session, publication_id, headline=name, first_seen_at=NOW - hours * HOUR)
    assert headlines(articles.pool(session, publication_id)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_pages_show_every_article_once_even_when_many_were_seen_at_once(session, publication_id, limit):
    for n in range(7):
        article(session, publication_id, headline=f"{n}", first_seen_at=NOW - (n // 3) * HOUR)
    shown: list[str] = []
    after = None
    while True:
        page = articles.pool(session, publication_id, after=after, limit=limit)
        shown += headlines(page)
        article(session, publication_id, headline="arrived meanwhile", first_seen_at=NOW + HOUR)
        after = page.next_after
        if after is None:
            break
    assert shown == ["2", "1", "0", "5", "4", "3", "6"]


def test_what_was_seen_after_a_moment_can_be_left_out(session, publication_id):
    for name, seen in (("before", NOW - HOUR), ("at", NOW), ("after", NOW + HOUR)):
        article(session, publication_id, headline=name, first_seen_at=seen)
    assert headlines(articles.pool(session, publication_id, until=NOW)) == ["at", "before"]


def test_the_pool_is_searched_by_words_of_the_headline(session, publication_id):
    for headline in ("Who mends the cables?", "ÇELİK’s cables, 100% mended", "Grain ships", "A_b"):
        article(session, publication_id, headline=headline)
    found = {
        text: headlines(articles.pool(session, publication_id, text=text))
        for text in ("CABLE mend", "100%", "%", "_", "x")
    }
    assert found["CABLE mend"] == ["ÇELİK’s cables, 100% mended", "Who mends the cables?"]
    assert found["100%"] == ["ÇELİK’s cables, 100% mended"]
    assert len(found["%"]) == len(found["_"]) == 4  # no words: everything
    assert found["x"] == []


def test_the_pool_says_where_a_story_was_seen(session, publication_id):
    story, by_hand = article(session, publication_id), article(session, publication_id)
    for title in ("The Meridian", ""):
        seen_in = source(
            session, publication_id, f"https://{title.lower().replace(' ', '-') or 'blog'}.example/", title=title
        )
        for guid in ("1", "2"):
            session.add(
                Sighting(
                    source_id=seen_in.id, article_id=story.id, guid=guid, url="", first_seen_at=NOW, last_seen_at=NOW
                )
            )
    session.flush()
    found = {row.id: row.sources for row in articles.pool(session, publication_id).rows}
    assert found == {story.id: ("The Meridian", "https://blog.example/"), by_hand.id: ()}


def test_articles_are_viewed_by_id_and_unknown_ids_are_left_out(session, publication_id):
    one, two = article(session, publication_id), article(session, publication_id, dek="", image_width=None)
    found = articles.view(session, [one.id, two.id, 999])
    assert found.keys() == {one.id, two.id}
    assert (found[one.id].headline, found[one.id].image_width) == (one.headline, 1200)
    assert (found[two.id].dek, found[two.id].image_width, found[two.id].state) == ("", None, ArticleState.POOL)
    assert articles.view(session, []) == {}


def test_ruling_is_the_same_twice_and_can_be_taken_back(session, publication_id):
    story = article(session, publication_id)
    for state in (ArticleState.HELD, ArticleState.HELD, ArticleState.POOL):
        articles.rule(session, story.id, state)
        assert articles.view(session, [story.id])[story.id].state is state
    with pytest.raises(NotFound):
        articles.rule(session, story.id + 1, ArticleState.HELD)


def test_sources_are_listed_with_their_health(session, publication_id):
    moment = clock.now()
    source(session, publication_id, "https://a.example/feed", problem="It is down.", failures=3, last_checked_at=moment)
    source(session, publication(session, slug="daily").id, "https://b.example/feed", note="It is empty.")
    down, empty = articles.sources(session)
    assert (down.url, down.problem, down.failures, down.last_checked_at) == (
        "https://a.example/feed",
        "It is down.",
        3,
        moment,
    )
    assert (empty.note, empty.problem, empty.stories) == ("It is empty.", "", 0)
    assert [row.id for row in articles.sources(session, publication_id)] == [down.id]
