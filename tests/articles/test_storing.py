"""Identity: one story is one article, however it moves; two stories are never one."""

import datetime as dt
import threading
from dataclasses import replace

import pytest
from factories.articles import article, source
from factories.publications import publication
from sqlalchemy import func, select

from newsletter.articles.models import Article, Sighting
from newsletter.articles.storing import Stored, store
from newsletter.articles.story import Image, Story

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PICTURE = Image("https://meridian.example/i/a.jpg", "A dam at dusk", True, "The dam.", "Jo Doe", 1200, 675)
STORY = Story(
    guid="tag:treaty",
    url="https://meridian.example/2026/treaty",
    headline="Can the river treaty be saved?",
    dek="Two capitals have stopped sharing their figures.",
    kicker_kind="Analysis",
    kicker_region="Middle East",
    byline="Mara Lindqvist",
    published_at=NOW - DAY,
    image=PICTURE,
    section="",
    language="en",
)


class Desk:
    """A publication whose sources tell stories; every telling is one transaction."""

    def __init__(self, database, publication_id):
        self.database = database
        self.publication_id = publication_id
        with database.transaction() as session:
            self.sources = [source(session, publication_id, section=name) for name in ("", "The long view")]

    def tell(self, *stories: Story, source: int = 0, now: dt.datetime = NOW) -> Stored:
        with self.database.transaction() as session:
            told_by = session.merge(self.sources[source])
            return store(session, self.publication_id, stories, now=now, source=told_by)

    def articles(self) -> list[Article]:
        with self.database.read() as session:
            return list(session.scalars(select(Article).order_by(Article.id)))

    def only(self) -> Article:
        (one,) = self.articles()
        return one


@pytest.fixture
def desk(database, publication_id):
    return Desk(database, publication_id)


def test_a_new_story_is_stored_with_everything_it_told(desk):
    assert desk.tell(STORY).new == 1
    row = desk.only()
    assert (row.canonical_url, row.url_key) == (STORY.url, "meridian.example/2026/treaty")
    assert (row.headline, row.dek, row.byline, row.published_at) == (STORY.headline, STORY.dek, STORY.byline, NOW - DAY)
    assert (row.kicker_kind, row.kicker_region, row.language) == ("Analysis", "Middle East", "en")
    assert (row.image_url, row.image_alt, row.image_alt_ok) == (PICTURE.url, PICTURE.alt, True)
    assert (row.image_caption, row.image_credit, row.image_width, row.image_height) == ("The dam.", "Jo Doe", 1200, 675)
    assert (row.first_seen_at, row.changed_at, row.state) == (NOW, None, "pool")


def test_a_story_told_again_is_the_same_article(desk):
    desk.tell(STORY)
    again = desk.tell(STORY, now=NOW + DAY)
    assert (again.new, again.changed, again.unchanged) == (0, 0, 1)
    assert desk.only().first_seen_at == NOW


def test_the_same_story_in_two_feeds_is_one_article(desk):
    desk.tell(STORY)
    other = replace(
        STORY, guid="other", url="http://www.meridian.example/2026/treaty/", headline="River treaty: what now"
    )
    assert desk.tell(other, source=1).new == 0
    assert desk.only().headline == STORY.headline


def test_a_changed_guid_is_the_same_article(desk):
    desk.tell(STORY)
    assert desk.tell(replace(STORY, guid="tag:treaty-2")).new == 0
    with desk.database.read() as session:
        assert session.scalars(select(Sighting.guid)).all() == ["tag:treaty-2"]


def test_a_changed_address_is_the_same_article_and_the_new_address_is_kept(desk):
    desk.tell(STORY)
    assert desk.tell(replace(STORY, url="https://meridian.example/2026/river-treaty")).new == 0
    assert desk.only().canonical_url == "https://meridian.example/2026/river-treaty"
    assert desk.only().url_key == "meridian.example/2026/river-treaty"


def test_address_and_guid_changed_at_once_is_the_same_article_by_headline(desk):
    """A site that moves to another system."""
    desk.tell(STORY)
    assert desk.tell(replace(STORY, guid="42", url="https://new.example/treaty")).new == 0


def test_a_corrected_headline_updates_the_article_and_says_when(desk):
    desk.tell(STORY)
    corrected = replace(STORY, headline="Can the river treaty still be saved?")
    told = desk.tell(corrected, now=NOW + DAY)
    assert (told.new, told.changed, told.unchanged) == (0, 1, 0)
    assert (desk.only().headline, desk.only().changed_at) == (corrected.headline, NOW + DAY)
    assert desk.tell(corrected, now=NOW + 2 * DAY).changed == 0
    assert desk.only().changed_at == NOW + DAY


def test_a_corrected_dek_counts_and_a_corrected_picture_does_not(desk):
    desk.tell(STORY)
    assert desk.tell(replace(STORY, dek="They share them again.")).changed == 1
    assert (
        desk.tell(replace(STORY, dek="They share them again.", image=replace(PICTURE, credit="Jo Marchetti"))).changed
        == 0
    )
    assert desk.only().image_credit == "Jo Marchetti"


def test_what_a_source_stops_telling_is_kept(desk):
    desk.tell(STORY)
    desk.tell(replace(STORY, dek="", byline="", image=None, published_at=None, headline="Treaty saved for now"))
    row = desk.only()
    assert (row.headline, row.dek, row.byline) == ("Treaty saved for now", STORY.dek, STORY.byline)
    assert (row.image_url, row.published_at) == (PICTURE.url, STORY.published_at)


def test_two_sources_that_word_a_story_differently_do_not_take_turns(desk):
    desk.tell(STORY)
    theirs = replace(STORY, guid="theirs", headline="River treaty on the brink", dek="Or so they say in the capital.")
    for hours in range(1, 4):
        for who, told in ((1, theirs), (0, STORY)):
            assert desk.tell(told, source=who, now=NOW + dt.timedelta(hours=hours)).changed == 0
    assert (desk.only().headline, desk.only().changed_at) == (STORY.headline, None)


def test_what_an_article_lacks_is_filled_in_from_another_source(desk):
    bare = replace(STORY, dek="", byline="", image=None, published_at=None, kicker_region="")
    desk.tell(bare)
    desk.tell(replace(STORY, guid="theirs"), source=1)
    row = desk.only()
    assert (row.dek, row.byline, row.kicker_region, row.published_at) == (
        STORY.dek,
        STORY.byline,
        "Middle East",
        NOW - DAY,
    )
    assert (row.image_url, row.image_alt_ok, row.image_width) == (PICTURE.url, True, 1200)
    assert (row.section, row.changed_at) == ("The long view", None)


def test_a_copy_elsewhere_never_takes_the_articles_address(desk):
    desk.tell(STORY)
    copy = replace(STORY, guid="copy", url="https://syndicate.example/treaty")
    desk.tell(copy, source=1)
    assert desk.tell(replace(copy, dek="Now with a new dek."), source=1).changed == 1
    assert (desk.only().dek, desk.only().canonical_url) == ("Now with a new dek.", STORY.url)


def test_a_guid_used_for_another_story_does_not_swallow_it(desk):
    """Some sites number their items 1, 2, 3 anew each day."""
    desk.tell(replace(STORY, guid="1"))
    other = replace(
        STORY, guid="1", url="https://meridian.example/2026/cables", headline="Who mends the cables?", published_at=NOW
    )
    assert desk.tell(other).new == 1
    assert desk.tell(other).new == 0
    assert [row.headline for row in desk.articles()] == [STORY.headline, "Who mends the cables?"]


def test_a_daily_column_is_a_new_story_each_day(desk):
    for day in range(5):
        column = replace(
            STORY,
            guid=f"column-{day}",
            url=f"https://meridian.example/column/{day}",
            headline="Letters to the editor",
            published_at=NOW + day * DAY,
        )
        assert desk.tell(column, now=NOW + day * DAY).new == 1


@pytest.mark.parametrize("published_at", [None, NOW])
def test_short_headlines_tell_nothing(desk, published_at):
    for n in range(2):
        brief = replace(
            STORY, guid=f"{n}", url=f"https://meridian.example/{n}", headline="Letters", published_at=published_at
        )
        assert desk.tell(brief).new == 1


def test_undated_stories_of_one_document_with_one_headline_are_two(desk):
    first = replace(STORY, published_at=None)
    second = replace(first, guid="b", url="https://meridian.example/b")
    assert desk.tell(first, second).new == 2
    assert desk.tell(first, second).new == 0


def test_a_headline_is_forgotten_after_two_weeks(desk):
    undated = replace(STORY, published_at=None)
    desk.tell(undated)
    elsewhere = replace(undated, guid="x", url="https://other.example/x")
    assert desk.tell(elsewhere, source=1, now=NOW + 15 * DAY).new == 1


def test_a_publication_knows_only_its_own_stories(database, desk):
    with database.transaction() as session:
        other = publication(session, slug="daily").id
        stored = store(session, other, [STORY], now=NOW)
    assert stored.new == 1
    assert desk.tell(STORY).new == 1


def test_the_newest_story_of_a_feed_gets_the_highest_id(desk):
    feed = [replace(STORY, guid=f"{n}", url=f"https://meridian.example/{n}", headline=f"Story {n}") for n in range(3)]
    stored = desk.tell(*feed)
    assert [row.headline for row in desk.articles()] == ["Story 2", "Story 1", "Story 0"]
    assert list(stored.ids) == [row.id for row in reversed(desk.articles())]


def test_a_story_brought_by_hand_is_known_when_a_feed_tells_it(database, desk):
    with database.transaction() as session:
        store(session, desk.publication_id, [replace(STORY, dek="")], now=NOW)
    assert desk.tell(STORY).new == 0
    assert desk.only().dek == STORY.dek


def test_guids_that_change_all_the_time_do_not_pile_up(desk):
    for n in range(5):
        desk.tell(replace(STORY, guid=f"session-{n}"))
    with desk.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Sighting)) == 1


def test_an_article_whose_source_was_removed_stays(desk):
    desk.tell(STORY)
    with desk.database.transaction() as session:
        session.delete(session.merge(desk.sources[0]))
    assert desk.only().headline == STORY.headline
    assert desk.tell(STORY, source=1).new == 0


def test_processes_that_store_the_same_stories_at_once_make_one_article_each(desk):
    feed = [replace(STORY, guid=f"{n}", url=f"https://meridian.example/{n}", headline=f"Story {n}") for n in range(20)]
    ready = threading.Barrier(6)
    told: list[Stored] = []

    def tell(who: int) -> None:
        ready.wait(10)
        if who < 4:
            told.append(desk.tell(*feed, source=who % 2))
        else:  # by hand: no source
            with desk.database.transaction() as session:
                told.append(store(session, desk.publication_id, feed, now=NOW))

    threads = [threading.Thread(target=tell, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 6
    assert sum(one.new for one in told) == 20
    assert len(desk.articles()) == 20


def test_rows_made_without_a_key_get_one(session, publication_id):
    assert (
        article(session, publication_id, canonical_url="https://www.meridian.example/x/").url_key
        == "meridian.example/x"
    )
