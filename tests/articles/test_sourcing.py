import pytest
from factories.articles import article, source
from factories.publications import publication

from newsletter import articles
from newsletter.articles.models import Article, Sighting
from newsletter.errors import Conflict, Invalid, NotFound
from newsletter.kit import clock, wake

FEED = "https://meridian.example/feed"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (FEED, FEED),
        ("  meridian.example/feed ", FEED),
        ("feed://meridian.example/feed", FEED),
        ("feed:https://meridian.example/feed", FEED),
        ("HTTPS://Meridian.Example:443/feed#top", FEED),
        ("http://127.0.0.1:8000/feed.xml", "http://127.0.0.1:8000/feed.xml"),
    ],
)
def test_an_address_is_understood_as_people_write_it(session, publication_id, typed, kept):
    assert articles.add_source(session, publication_id, typed).url == kept


@pytest.mark.parametrize(
    "typed", ["", "javascript://feed", "ftp://meridian.example/feed", "https://", "two words.example", "http://[::1"]
)
def test_what_is_no_web_address_is_refused(session, publication_id, typed):
    with pytest.raises(Invalid, match=r"write it like https://example\.org/feed") as refusal:
        articles.add_source(session, publication_id, typed)
    assert refusal.value.field == "url"
    assert articles.sources(session, publication_id) == []


def test_credentials_in_an_address_are_refused_and_not_repeated(session, publication_id):
    with pytest.raises(Invalid, match="holds a user name or password") as refusal:
        articles.add_source(session, publication_id, "https://jo:secret@meridian.example/feed")
    assert "secret" not in refusal.value.message


def test_overlong_values_are_refused(session, publication_id):
    with pytest.raises(Invalid, match="longer than 2000"):
        articles.add_source(session, publication_id, FEED + "x" * 2000)
    with pytest.raises(Invalid, match="at most 120"):
        articles.add_source(session, publication_id, FEED, section="x" * 121)


@pytest.mark.parametrize(
    "again", [FEED, "http://www.meridian.example/feed/", "https://meridian.example/feed?utm_source=x"]
)
def test_a_source_stands_once_in_a_publication(session, publication_id, again):
    first = articles.add_source(session, publication_id, FEED)
    with pytest.raises(Conflict, match=f"source of this newsletter already .source {first.id}"):
        articles.add_source(session, publication_id, again)
    articles.add_source(session, publication(session, slug="daily").id, again)  # elsewhere it may


def test_a_new_source_is_due_at_once_and_the_workers_are_told_after_the_commit(database, publication_id):
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    try:
        with database.transaction() as session:
            made = articles.add_source(session, publication_id, FEED, section="  The long\tview ")
            assert hints == []
            assert made.section == "The long view"
        assert hints == [("collect", made.id)]
    finally:
        wake.register(None)
    with database.read() as session:
        assert articles.due_sources(session) == [made.id]


def test_a_paused_source_is_not_due_until_it_is_taken_up_again(session, publication_id):
    made = articles.add_source(session, publication_id, FEED)
    articles.update_source(session, made.id, active=False)
    assert articles.due_sources(session, publication_id, force=True) == []
    articles.update_source(session, made.id, active=True, section="Voices")
    assert articles.due_sources(session, publication_id) == [made.id]
    assert articles.sources(session, publication_id)[0].section == "Voices"


def test_due_sources_are_those_whose_time_has_come_in_their_order(session, publication_id):
    moment = clock.now()
    late = source(session, publication_id, next_check_at=moment.replace(year=2020)).id
    due = source(session, publication_id, next_check_at=moment).id
    early = source(session, publication_id, next_check_at=moment.replace(year=moment.year + 1)).id
    elsewhere = source(session, publication(session, slug="daily").id).id
    assert articles.due_sources(session, publication_id) == [late, due]
    assert articles.due_sources(session, publication_id, force=True) == [late, due, early]
    assert set(articles.due_sources(session)) == {late, due, elsewhere}


def test_a_removed_source_leaves_its_articles(session, publication_id):
    made, story = source(session, publication_id), article(session, publication_id)
    moment = clock.now()
    session.add(
        Sighting(
            source_id=made.id,
            article_id=story.id,
            guid="g",
            url="https://a.example/",
            first_seen_at=moment,
            last_seen_at=moment,
        )
    )
    session.flush()
    assert articles.sources(session)[0].stories == 1
    articles.remove_source(session, made.id)
    session.expire_all()
    assert session.get(Article, story.id) is not None
    assert articles.sources(session) == []
    with pytest.raises(NotFound, match=f"There is no source {made.id}"):
        articles.remove_source(session, made.id)
