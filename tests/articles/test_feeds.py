import datetime as dt
import json
from contextlib import suppress

import pytest
from factories.articles import item, rss
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles import feeds
from newsletter.articles.story import Feed, Story
from newsletter.errors import FeedError

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
URL = "https://meridian.example/feeds/all.xml"
DEK = "Two capitals that share one river have stopped sharing their figures."


def read(document: str | bytes, **more) -> Feed:
    return feeds.read(document.encode() if isinstance(document, str) else document, url=URL, now=NOW, **more)


def only(document: str | bytes, **more) -> Story:
    (story,) = read(document, **more).stories
    return story


def problem(document: str | bytes) -> str:
    with pytest.raises(FeedError) as failure:
        read(document)
    return failure.value.message


def one(more: str = "", **fields) -> Story:
    """The story of an RSS feed of one item."""
    facts = {"headline": "Can the treaty survive?", "link": "/2026/treaty", "dek": DEK, **fields}
    return only(rss(item(**facts, more=more)))


def test_an_rss_item_is_read_in_full():
    story = one(
        guid="tag:treaty",
        published=NOW - dt.timedelta(hours=3),
        more="""<dc:creator>Mara Lindqvist</dc:creator><dc:creator>Teo Marchetti</dc:creator>
            <category>Analysis | Middle East</category><media:content url="/images/dam.jpg" medium="image" width="1200"
            height="675"><media:description>The dam at Tarsk. (Photo by Jo Doe)</media:description>
            <media:credit role="photographer">Jo Doe/Harbour Agency</media:credit></media:content>""",
    )
    assert (story.guid, story.url) == ("tag:treaty", "https://meridian.example/2026/treaty")
    assert (story.headline, story.dek) == ("Can the treaty survive?", DEK)
    assert (story.kicker_kind, story.kicker_region) == ("Analysis", "Middle East")
    assert story.byline == "Mara Lindqvist, Teo Marchetti"
    assert story.published_at == NOW - dt.timedelta(hours=3)
    assert story.language == "en"
    assert story.image is not None
    assert story.image.url == "https://meridian.example/images/dam.jpg"
    assert (story.image.caption, story.image.credit) == ("The dam at Tarsk.", "Jo Doe/Harbour Agency")
    assert (story.image.width, story.image.height, story.image.alt, story.image.alt_ok) == (1200, 675, "", False)


def test_an_atom_feed_is_read():
    feed = read("""<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="pt" xml:base="https://blog.example/x/">
        <title type="html">Short &amp;amp; wave</title><entry><id>urn:vote</id>
        <title type="text">Use of &lt;b&gt; &amp; of &amp;amp;</title><link rel="alternate" href="vote"/>
        <link rel="enclosure" type="image/png" href="vote.png"/>
        <updated>2026-11-20T10:00:00+02:00</updated><author><name>Ana Brito</name></author><author><name>Rui Sá</name>
        </author><summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>A fourth <b>delay</b> in a row.</p>
        </div></summary><category term="blog" label="Blog"/></entry></feed>""")
    assert (feed.title, feed.format) == ("Short & wave", "Atom 1.0")
    (story,) = feed.stories
    assert story.url == "https://blog.example/x/vote"
    assert story.headline == "Use of <b> & of &amp;"
    assert story.dek == "A fourth delay in a row."
    assert story.byline == "Ana Brito, Rui Sá"
    assert story.published_at == dt.datetime(2026, 11, 20, 8, 0, tzinfo=dt.UTC)
    assert (story.kicker_kind, story.language) == ("Blog", "pt")
    assert story.image is not None
    assert story.image.url == "https://blog.example/x/vote.png"


def test_an_rdf_feed_is_read():
    feed = read("""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
        xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://a.example/"><title>Old hand</title>
        </channel><item rdf:about="https://a.example/1"><title>The cables</title><link>https://a.example/1</link>
        <dc:date>2026-11-19T08:00:00Z</dc:date><dc:creator>Jo Doe</dc:creator></item></rdf:RDF>""")
    assert feed.format == "RSS 1.0"
    assert feed.stories[0].published_at == dt.datetime(2026, 11, 19, 8, 0, tzinfo=dt.UTC)
    assert feed.stories[0].byline == "Jo Doe"


def test_a_json_feed_is_read():
    feed = read(
        json.dumps(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": "Voices & letters",
                "language": "en-GB",
                "items": [
                    {
                        "id": 7,
                        "url": "/voices/letters",
                        "title": "What <the> sanctions & tariffs leave out",
                        "content_html": f"<p>{DEK}</p><img src='/i/a.jpg' alt='A reading room at dusk'>",
                        "date_published": "2026-11-18T09:00:00-05:00",
                        "authors": [{"name": "Ana Brito"}, {"url": "https://jo.example"}],
                        "tags": ["Opinion", "Global"],
                    },
                    "not an object",
                    {
                        "id": "8",
                        "external_url": "https://other.example/8",
                        "content_text": "First line.\n\nSecond line.",
                    },
                ],
            }
        )
    )
    assert (feed.title, feed.format) == ("Voices & letters", "JSON Feed 1.1")
    letters, note = feed.stories
    assert (letters.guid, letters.url) == ("7", "https://meridian.example/voices/letters")
    assert letters.headline == "What <the> sanctions & tariffs leave out"
    assert (letters.dek, letters.byline, letters.language) == (DEK, "Ana Brito", "en-GB")
    assert letters.published_at == dt.datetime(2026, 11, 18, 14, 0, tzinfo=dt.UTC)
    assert (letters.kicker_kind, letters.kicker_region) == ("Opinion", "Global")
    assert letters.image is not None
    assert (letters.image.url, letters.image.alt_ok) == ("https://meridian.example/i/a.jpg", True)
    assert (note.headline, note.dek) == ("First line.", "Second line.")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[1]", "no list of items"),
        ('{"items": 3}', "no list of items"),
        ("{broken", "broken"),
        ("[" * 100_000, "broken"),
    ],
)
def test_json_that_is_no_feed_says_so(document, words):
    assert words in problem(document)


def test_a_date_is_taken_from_wherever_it_stands_and_may_be_missing():
    hour = NOW.replace(hour=9)
    assert one().published_at is None
    assert one("<dc:date>2026-11-20T09:00:00Z</dc:date>").published_at == hour
    assert one("<pubDate>some day soon</pubDate>").published_at is None
    assert one("<pubDate>some day soon</pubDate><dc:date>2026-11-20T09:00:00Z</dc:date>").published_at == hour


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (NOW + dt.timedelta(hours=5), NOW),  # a clock that is fast, or local time sold as GMT
        (NOW + dt.timedelta(days=40), None),
        (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None),
        (dt.datetime(2009, 5, 1, tzinfo=dt.UTC), dt.datetime(2009, 5, 1, tzinfo=dt.UTC)),
    ],
)
def test_absurd_dates_are_not_believed(told, kept):
    assert one(published=told).published_at == kept


@pytest.mark.parametrize(
    "creator", ["", "None", "null", "admin", "desk@meridian.example", "https://jo.example", "By none"]
)
def test_a_missing_byline_stays_missing(creator):
    assert one(f"<dc:creator>{creator}</dc:creator>").byline == ""


def test_a_byline_is_a_name_only():
    assert (
        one("<dc:creator>By Mara  Lindqvist</dc:creator><dc:creator>mara lindqvist</dc:creator>").byline
        == "Mara Lindqvist"
    )
    assert one("<author>desk@meridian.example (Mara Lindqvist)</author>").byline == "Mara Lindqvist"


def test_a_kicker_may_be_an_element_of_the_sites_own_or_a_line_of_the_text():
    assert one("<desk:kicker>Dispatch | Africa</desk:kicker>").kicker_region == "Africa"
    inside = one(dek=f"<p>Analysis | Asia</p><p>{DEK}</p>")
    assert (inside.kicker_kind, inside.kicker_region, inside.dek) == ("Analysis", "Asia", DEK)


def test_a_section_may_be_named_by_the_story():
    assert one("<desk:section>The long view</desk:section>").section == "The long view"


def test_entities_are_decoded_once():
    assert one(headline="Q&amp;A: caf&eacute; &amp;amp; bar").headline == "Q&A: café &amp; bar"
    assert one(headline="AT&T, 3 < 5").headline == "AT&T, 3 < 5"


def test_no_markup_comes_out_of_a_feed():
    story = one(
        headline="<script>alert(1)</script>Treaty <img src=x onerror=alert(1)>",
        dek="<iframe src='//x'>x</iframe><svg onload=alert(1)></svg>"
        "<p onclick='x()'>They said <a href='javascript:x()'>so</a> on Friday.</p>",
        link="https://meridian.example/1",
    )
    assert story.headline == "Treaty"
    assert story.dek == "They said so on Friday."


def test_a_link_that_is_no_web_address_falls_back_to_the_guid():
    story = one(link="javascript:alert(1)", guid="https://meridian.example/?p=9")
    assert story.url == "https://meridian.example/?p=9"


def test_the_dek_does_not_repeat_the_headline_nor_carry_leftovers():
    story = one(dek=f"<p>Can the treaty survive?</p><p>{DEK}</p><p>The post Can … appeared first on X.</p>")
    assert story.dek == DEK
    assert one(dek=f"{DEK} keep readingShow less").dek == DEK


def test_a_story_without_a_title_is_named_by_its_first_sentence():
    story = only(rss(f"<item><link>/1</link><description>{DEK} More is known.</description></item>"))
    assert (story.headline, story.dek) == (DEK, "More is known.")


def test_a_picture_of_the_text_gives_its_words_to_the_same_picture_of_the_media_elements():
    story = one(
        """<media:content url="https://meridian.example/i/dam.jpg" medium="image"/><content:encoded><![CDATA[<figure>
        <img src="/i/dam-300x200.jpg" alt="Water behind the dam at Tarsk"><figcaption>Tarsk. REUTERS/Jo Doe</figcaption>
        </figure><p>Body.</p>]]></content:encoded>"""
    )
    assert story.image is not None
    assert story.image.url == "https://meridian.example/i/dam.jpg"
    assert (story.image.alt, story.image.alt_ok) == ("Water behind the dam at Tarsk", True)
    assert (story.image.caption, story.image.credit) == ("Tarsk.", "REUTERS/Jo Doe")


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_pictures_description_never_becomes_the_dek(where):
    words = "<media:description>A dam.</media:description><media:title>Dam</media:title>"
    media = f'<media:content url="/i/a.jpg">{words}</media:content>'
    described = f"<title>Treaty</title><link>/1</link><description>{DEK}</description>"
    story = only(rss(f"<item>{media}{described}</item>" if where == "before" else f"<item>{described}{media}</item>"))
    assert (story.headline, story.dek) == ("Treaty", DEK)
    assert story.image is not None
    assert story.image.caption == "A dam."


def test_each_picture_keeps_its_own_words():
    story = one(
        """<media:group><media:content url="/jo.mp3" type="audio/mpeg"/><media:content url="/i/a.jpg" type="image/jpeg">
        <media:credit>Jo Doe</media:credit></media:content><media:content url="/i/b.jpg" type="image/jpeg">
        <media:credit>Someone Else</media:credit></media:content><media:description>For all.</media:description>
        </media:group>"""
    )
    assert story.image is not None
    assert (story.image.url, story.image.credit, story.image.caption) == (
        "https://meridian.example/i/a.jpg",
        "Jo Doe",
        "For all.",
    )


def test_broken_xml_with_stories_is_read_and_noted():
    document = rss(item("First", "/1", dek="Tom & Jerry".replace("&amp;", "&")), item("Second", "/2"))
    feed = read(document.replace("Tom &amp; Jerry", "Tom & Jerry &nbsp; <b>bold").removesuffix("</channel></rss>"))
    assert [story.headline for story in feed.stories] == ["First", "Second"]
    (note,) = feed.notes
    assert note.startswith("The feed is not well-formed XML (line 1)")


def test_broken_xml_keeps_its_pictures():
    document = rss(item("First", "/1", more='<media:content url="/i/a.jpg" medium="image" width="800"/>'))
    story = only(document.removesuffix("</rss>"))
    assert story.image is not None
    assert (story.image.url, story.image.width) == ("https://meridian.example/i/a.jpg", 800)


def test_a_torn_feed_without_a_whole_story_is_a_problem():
    assert "damaged XML in which no item" in problem("<rss><channel><title>Torn</title><item><title>Half a st")
    assert "damaged XML" in problem("<rss><channel><title>Torn</ti")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "empty page"),
        (b" \n\t ", "empty page"),
        (b"\xef\xbb\xbf", "empty page"),
        (b"just words", "begins “just words”"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no feed"),
        (b"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'/>", "a <urlset> document"),
        (b"<opml version='2.0'><body/></opml>", "a <opml> document"),
    ],
)
def test_what_is_no_feed_says_what_it_is(document, words):
    assert words in problem(document)


def test_a_web_page_in_place_of_a_feed_names_the_feeds_it_knows():
    page = """<!DOCTYPE html><html><head><link rel="alternate" type="application/rss+xml" href="/feed">
        <LINK REL='alternate' TYPE='application/atom+xml' HREF='https://blog.example/atom?a=1&amp;b=2'>
        <link rel="alternate" hreflang="fr" href="/fr"><link rel="stylesheet" href="/x.css"></head><p>Hello"""
    assert problem(page) == (
        "The address is a web page, not a feed; the page names this feed: "
        "https://meridian.example/feed or https://blog.example/atom?a=1&b=2"
    )
    assert "names none; look for its RSS link" in problem("<html><body><p>Hello")


def test_an_empty_feed_is_healthy_and_noted():
    feed = read(rss())
    assert feed.stories == ()
    assert feed.notes == ("The feed holds no stories at the moment.",)


def test_items_without_address_or_words_are_left_out_and_counted():
    feed = read(rss(item("Good", "/1"), "<item><title>No address</title></item>", "<item><link>/3</link></item>"))
    assert [story.headline for story in feed.stories] == ["Good"]
    assert feed.notes == ("2 of 3 items have no address or no words and were left out.",)


def test_one_item_that_cannot_be_read_stops_no_other(monkeypatch, caplog):
    real = feeds.clean

    def stumbling(raw, **more):
        if raw.headline == "Bad":
            raise ZeroDivisionError
        return real(raw, **more)

    monkeypatch.setattr(feeds, "clean", stumbling)
    feed = read(rss(item("Good", "/1"), item("Bad", "/2"), item("Also good", "/3")))
    assert [story.headline for story in feed.stories] == ["Good", "Also good"]
    assert "1 of 3 items" in feed.notes[0]
    assert "could not be read" in caplog.text


def test_one_story_twice_in_a_feed_is_one():
    feed = read(rss(item("Treaty", "/1?utm_source=a", guid="a"), item("Treaty", "/1?utm_source=b", guid="b")))
    assert [story.guid for story in feed.stories] == ["a"]
    assert feed.notes == ()


def test_two_stories_with_one_address_are_noted():
    feed = read(rss(item("Treaty", "/1", guid="a"), item("Cables", "/1", guid="b")))
    assert [story.headline for story in feed.stories] == ["Treaty"]
    assert feed.notes == ("“Treaty” and “Cables” share an address; only the first was taken.",)


def test_two_versions_of_one_story_are_one_and_no_note():
    feed = read(rss(item("Treaty saved", "/1", guid="a"), item("Treaty", "/1", guid="a")))
    assert [story.headline for story in feed.stories] == ["Treaty saved"]
    assert feed.notes == ()
    assert read(rss(item("Treaty", "/1"), item("Cables", "/1"))).notes  # without GUIDs they are two


def test_a_guid_that_several_stories_share_is_not_used():
    first, second = read(rss(item("Treaty", "/1", guid="same"), item("Cables", "/2", guid="same"))).stories
    assert first.guid != second.guid


def test_a_feed_without_end_is_read_up_to_a_limit():
    feed = read(rss(*(item(f"Story {n}", f"/{n}") for n in range(feeds.MAX_STORIES + 20))))
    assert len(feed.stories) == feeds.MAX_STORIES
    assert feed.notes == ("The feed has 520 items; the first 500 were read.",)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252", "iso-8859-15"],
)
def test_a_feed_is_read_in_its_encoding(encoding):
    declared = "utf-8" if encoding == "utf-8-sig" else encoding.removesuffix("-le")
    document = rss(item("Çelik’s café".replace("’", "'"), "/1")).replace('encoding="utf-8"', f'encoding="{declared}"')
    assert only(document.encode(encoding)).headline == "Çelik's café"


def test_bytes_that_are_not_what_the_feed_says_are_read_all_the_same():
    assert only(rss(item("Café “Amal”", "/1")).encode("cp1252")).headline == "Café “Amal”"
    assert only(rss(item("Café XX", "/1")).encode().replace(b"XX", b"it\x92s \x00\x0b\xff")).headline == "Café it’s ÿ"


def test_references_to_forbidden_characters_do_not_spoil_a_feed():
    feed = read(rss(item("Treaty AB", "/1")).replace("AB", "&#0;A&#x0B;&#xD800;&#99999999999;B&#x00041;&#8217;"))
    assert [story.headline for story in feed.stories] == ["Treaty ABA’"]
    assert feed.notes == ()


def test_what_feedparser_does_not_survive_is_a_clear_problem():
    trap = '<gml:posList xmlns:gml="http://www.opengis.net/gml">1 2</gml:posList>'
    assert "damaged XML that cannot be read" in problem(rss(item("Treaty", "/1", more=trap)))


BOMB = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declarations",
    [
        f'<!DOCTYPE rss [<!ENTITY b0 "bomb">{BOMB}]>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "{server}/x">]>',
        '<!DOCTYPE rss [<!ENTITY % x SYSTEM "{server}/x"> %x;]>',
        '<!-- <rss> --><!DOCTYPE rss SYSTEM "<!--" [<!ENTITY x "y">]>',
    ],
    ids=["billion-laughs", "file", "url", "parameter", "hidden"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_they_are_expanded(declarations, encoding, server):
    document = rss(item("X", "/1")).replace("<title>X</title>", "<title>&x;&b9;</title>").partition("?>")[2]
    declarations = declarations.replace("{server}", server.base)
    assert "declares XML entities" in problem((declarations + document).encode(encoding))
    assert server.requests == []


@pytest.mark.parametrize("head", ["x", "<?xml version='1.0'?> <?bad", "<!DOCTYPE rss [<!ELEMENT a ANY>&]>"])
def test_entities_of_broken_documents_are_never_expanded(head, server):
    declared = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{server.base}/x"><!ENTITY b0 "bomb">{BOMB}]>'
    document = head + declared + rss(item("X", "/1", dek="A &x; &b9; story.")).replace("&amp;", "&").partition("?>")[2]
    try:
        feed = read(document)
    except FeedError:
        pass
    else:
        assert all(len(story.dek) < 100 and "bomb" not in story.dek for story in feed.stories)
    assert server.requests == []


def test_an_external_dtd_is_not_fetched(server):
    head = f'<?xml version="1.0"?><!DOCTYPE rss SYSTEM "{server.base}/rss.dtd">'
    assert only(head + rss(item("Treaty", "/1")).partition("?>")[2]).headline == "Treaty"
    assert server.requests == []


SCRAPS = st.lists(
    st.sampled_from(
        [
            *(
                "<rss version='2.0'><channel>",
                "<item>",
                "</item>",
                "<title>",
                "</title>",
                "<link>/1</link>",
                "text &",
                "<",
            ),
            *("<![CDATA[", "]]>", "&lt;p&gt;", "<guid>", "</guid>", "<pubDate>Fri, 31 Feb 2026</pubDate>", "<feed>"),
            *("<media:content url='", "'/>", "<description>", "<entry><id>", "\x00\xff", "<enclosure type='image/x'/>"),
        ]
    ),
    max_size=25,
).map("".join)


@given(
    st.one_of(st.binary(max_size=300), SCRAPS.map(str.encode), SCRAPS.map(lambda scraps: ("<rss>" + scraps).encode()))
)
def test_any_document_gives_stories_or_a_clear_problem(document):
    with suppress(FeedError):  # the only thing that may be raised
        assert all(story.headline and story.url.startswith("http") for story in read(document).stories)
