"""Collecting from a real web server: what editors see when sources are well and when they are not."""

import contextlib
import datetime as dt
import gzip
import threading

import pytest
from factories.articles import ALLOW, item, rss
from sqlalchemy import update

from newsletter import articles
from newsletter.articles import Collected, SourceRow
from newsletter.articles.collecting import INTERVAL, LONGEST_INTERVAL
from newsletter.articles.models import Source
from newsletter.errors import FeedError, FetchError, NotFound
from newsletter.kit import clock

PUBLISHED = clock.now() - dt.timedelta(hours=4)


def story(n: int, **fields) -> str:
    facts = {
        "headline": f"Grain ships take the long way, part {n}",
        "link": f"https://meridian.example/{n}?utm_source=rss",
        "guid": f"tag:{n}",
        "dek": f"Day {n}, and the premium with it.",
        "published": PUBLISHED - dt.timedelta(days=n),
        **fields,
    }
    return item(facts.pop("headline"), facts.pop("link"), **facts)


class Desk:
    def __init__(self, database, publication_id):
        self.database = database
        self.publication_id = publication_id

    def add(self, url: str, **fields) -> int:
        with self.database.transaction() as session:
            return articles.add_source(session, self.publication_id, url, **fields).id

    def collect(self, source_id: int, *, allow: tuple[str, ...] = ALLOW) -> Collected:
        return articles.collect(self.database, source_id, allow=allow)

    def source(self, source_id: int) -> SourceRow:
        with self.database.read() as session:
            return next(row for row in articles.sources(session, self.publication_id) if row.id == source_id)

    def pool(self) -> list[articles.PoolArticle]:
        with self.database.read() as session:
            return list(articles.pool(session, self.publication_id).rows)


@pytest.fixture
def desk(database, publication_id):
    return Desk(database, publication_id)


def wait_of(source: SourceRow) -> dt.timedelta:
    assert source.last_checked_at is not None
    return source.next_check_at - source.last_checked_at


def test_new_stories_land_in_the_pool_newest_first(desk, server):
    source_id = desk.add(server.serve("/feed", rss(story(1), story(2), title="The Meridian")), section="Trade")
    told = desk.collect(source_id)
    assert told == Collected(source_id=source_id, url=server.url("/feed"), new=2)
    first, second = desk.pool()
    assert (first.headline, first.canonical_url) == (
        "Grain ships take the long way, part 1",
        "https://meridian.example/1",
    )
    assert (first.section, first.sources, second.dek) == ("Trade", ("The Meridian",), "Day 2, and the premium with it.")
    row = desk.source(source_id)
    assert (row.title, row.problem, row.note, row.failures, row.stories) == ("The Meridian", "", "", 0, 2)
    assert row.last_success_at == row.last_new_at == row.last_checked_at is not None
    assert wait_of(row) == INTERVAL


def test_an_unchanged_feed_is_not_fetched_again_and_counts_as_success(desk, server):
    source_id = desk.add(server.serve("/feed", rss(story(1)), ETag='"one"'))
    desk.collect(source_id)
    before = desk.source(source_id)
    told = desk.collect(source_id)
    assert told.not_modified
    assert server.requests[-1][1]["if-none-match"] == '"one"'
    after = desk.source(source_id)
    assert after.last_success_at > before.last_success_at
    assert after.last_new_at == before.last_new_at


def test_a_corrected_headline_is_noticed(desk, server):
    source_id = desk.add(server.serve("/feed", rss(story(1), story(2))))
    desk.collect(source_id)
    server.serve("/feed", rss(story(1, headline="Grain ships: a correction"), story(2)))
    told = desk.collect(source_id)
    assert (told.new, told.changed, told.unchanged) == (0, 1, 1)
    assert desk.pool()[0].headline == "Grain ships: a correction"
    assert desk.pool()[0].changed_at is not None


def test_the_same_stories_in_two_feeds_are_collected_once(desk, server):
    again = story(1, link="http://www.meridian.example/1/?fbclid=9", guid="other")
    for path, document, new in (("/a", rss(story(1)), 1), ("/b", rss(again, title="Other"), 0)):
        assert desk.collect(desk.add(server.serve(path, document))).new == new
    (one,) = desk.pool()
    assert one.sources == ("The Meridian", "Other")


def too_big(server):
    return server.serve("/feed", b"<rss>" + b"x" * 20_000_000)


def bomb(server):
    return server.serve("/feed", gzip.compress(rss(story(1)).encode() + bytes(50_000_000)), Content_Encoding="gzip")


def to_loopback(server):
    """The host is allowed by name, its address is not."""
    server.serve("/feed", status=302, Location="http://127.0.0.2/")
    return f"http://localhost:{server.port}/feed"


def circle(server):
    return server.serve("/feed", status=301, Location="/feed")


TROUBLES = [
    (lambda _server: "http://feeds.invalid/rss", "The name feeds.invalid was not found"),
    (lambda _server: "http://127.0.0.1:1/feed", "refuses the connection"),
    (lambda server: server.url("/nothing"), "has nothing there (404)"),
    (lambda server: server.serve("/feed", status=500), "has a fault of its own (HTTP 500)"),
    (too_big, "more than 5 MB"),
    (bomb, "more than 5 MB"),
    (circle, "redirects in a circle"),
    (to_loopback, "inside a private network"),
    (lambda server: server.serve("/feed", ""), "an empty page"),
    (lambda server: server.serve("/feed", "<!doctype html><title>Hello</title>"), "is a web page, not a feed"),
    (lambda server: server.serve("/feed", "<rss><channel><title>Torn</ti"), "damaged XML"),
    (lambda server: server.serve("/feed", '<!DOCTYPE rss [<!ENTITY a "b">]><rss/>'), "declares XML entities"),
]


@pytest.mark.parametrize(("trouble", "words"), TROUBLES, ids=[words for _, words in TROUBLES])
def test_a_source_that_cannot_be_read_says_why_where_the_editor_looks(desk, server, trouble, words):
    source_id = desk.add(trouble(server))
    told = desk.collect(source_id, allow=("localhost",) if trouble is to_loopback else ALLOW)
    assert words in told.problem
    assert "\n" not in told.problem
    row = desk.source(source_id)
    assert (row.problem, row.failures, row.last_success_at) == (told.problem, 1, None)
    assert desk.pool() == []


def test_a_failing_source_is_asked_less_and_less_often_and_one_success_sets_it_right(desk, server):
    source_id = desk.add(server.serve("/feed", status=503))
    waits = []
    for _ in range(8):
        desk.collect(source_id)
        waits.append(wait_of(desk.source(source_id)))
    assert waits[:3] == [2 * INTERVAL, 4 * INTERVAL, 8 * INTERVAL]
    assert waits[-1] == LONGEST_INTERVAL
    assert desk.source(source_id).failures == 8
    server.serve("/feed", rss(story(1)))
    assert desk.collect(source_id).new == 1
    row = desk.source(source_id)
    assert (row.failures, row.problem, wait_of(row)) == (0, "", INTERVAL)


def test_a_failure_keeps_what_was_collected_before(desk, server):
    source_id = desk.add(server.serve("/feed", rss(story(1)), ETag='"one"'))
    desk.collect(source_id)
    server.serve("/feed", "<html>Login</html>")
    assert desk.collect(source_id).problem
    assert len(desk.pool()) == 1
    server.serve("/feed", rss(story(1)), ETag='"one"')
    assert desk.collect(source_id).not_modified
    assert desk.source(source_id).problem == ""


def test_what_is_odd_about_a_feed_is_noted_and_stays_noted(desk, server):
    torn = rss(story(1)).removesuffix("</rss>")
    source_id = desk.add(server.serve("/feed", torn, ETag='"torn"'))
    assert desk.collect(source_id).note.startswith("The feed is not well-formed XML")
    assert desk.collect(source_id).not_modified
    row = desk.source(source_id)
    assert row.note.startswith("The feed is not well-formed XML")
    assert (row.problem, row.failures) == ("", 0)


def test_one_bad_item_stops_no_other(desk, server):
    bad = "<item><title>No address</title></item>", "<item><link>javascript:x</link></item>"
    source_id = desk.add(server.serve("/feed", rss(story(1), *bad, story(2))))
    told = desk.collect(source_id)
    assert (told.new, told.problem) == (2, "")
    assert "2 of 4 items" in told.note


def test_two_stories_with_one_address_are_told_to_the_editor(desk, server):
    source_id = desk.add(server.serve("/feed", rss(story(1), story(2, link="https://meridian.example/1"))))
    assert "share an address" in desk.collect(source_id).note


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_every_character_reaches_the_pool(desk, server, encoding):
    document = rss(story(1, headline="Çelik’s café – “déjà vu”", more="<dc:creator>Ana \x93Nô\x94 Brito</dc:creator>"))
    document = document.replace("\x93", "“").replace("\x94", "”").replace(' encoding="utf-8"', "")
    source_id = desk.add(server.serve("/feed", document.encode(encoding) + b" \x00"))
    assert desk.collect(source_id).new == 1
    assert (desk.pool()[0].headline, desk.pool()[0].byline) == ("Çelik’s café – “déjà vu”", "Ana “Nô” Brito")


def test_a_move_for_good_is_followed_and_remembered(desk, server):
    server.serve("/new", rss(story(1)))
    source_id = desk.add(server.serve("/old", status=301, Location="/new"))
    assert desk.collect(source_id).url == server.url("/new")
    assert desk.source(source_id).url == server.url("/new")


def test_a_move_for_now_is_followed_and_not_remembered(desk, server):
    server.serve("/new", rss(story(1)))
    source_id = desk.add(server.serve("/old", status=307, Location="/new"))
    assert desk.collect(source_id).new == 1
    assert desk.source(source_id).url == server.url("/old")


def test_a_move_to_another_source_is_told_and_not_made(desk, server):
    new = desk.add(server.serve("/new", rss(story(1))))
    old = desk.add(server.serve("/old", status=301, Location="/new"))
    assert (
        desk.collect(old).note
        == f"It has moved to {server.url('/new')}, which is source {new} already; remove one of the two."
    )
    assert desk.source(old).url == server.url("/old")


def test_processes_that_collect_one_source_at_once_double_nothing(desk, server):
    source_id = desk.add(server.serve("/feed", rss(*(story(n) for n in range(30)))))
    told: list[Collected] = []
    threads = [threading.Thread(target=lambda: told.append(desk.collect(source_id))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.new for one in told) == [0, 0, 0, 0, 30]
    assert len(desk.pool()) == 30


def test_no_transaction_is_held_while_the_network_is_waited_for(desk, server, database):
    """SQLite has one writer: a source that dawdles must not keep the whole program waiting."""
    waited_for, go_on = threading.Event(), threading.Event()

    def dawdle(request):
        waited_for.set()
        go_on.wait(30)
        body = rss(story(1)).encode()
        with contextlib.suppress(OSError):
            request.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    source_id = desk.add(server.run("/feed", dawdle))
    told: list[Collected] = []
    reader = threading.Thread(target=lambda: told.append(desk.collect(source_id)))
    reader.start()
    assert waited_for.wait(10)
    with database.transaction() as session:  # would wait for 30 s and fail
        session.execute(update(Source).values(title="Written meanwhile"))
        assert articles.due_sources(session) == []  # and nobody else takes the source up meanwhile
    go_on.set()
    reader.join(30)
    assert told[0].new == 1


def test_a_source_that_is_removed_while_it_is_read_leaves_nothing(desk, server, database):
    source_id = desk.add(server.url("/feed"))

    def remove(request):
        with database.transaction() as session:
            articles.remove_source(session, source_id)
        request.send_error(500)

    server.run("/feed", remove)
    assert "HTTP 500" in desk.collect(source_id).problem
    with pytest.raises(NotFound):
        desk.collect(source_id)


def test_an_address_can_be_tried_without_keeping_anything(desk, server):
    found = articles.check_source(server.serve("/feed", rss(story(1), title="The Meridian")), ALLOW)
    assert (found.title, found.format, found.note) == ("The Meridian", "RSS 2.0", "")
    assert [one.headline for one in found.stories] == ["Grain ships take the long way, part 1"]
    with pytest.raises(FetchError, match="404"):
        articles.check_source(server.url("/nothing"), ALLOW)
    with pytest.raises(FeedError, match="web page"):
        articles.check_source(server.serve("/page", "<html>"), ALLOW)
    assert desk.pool() == []
