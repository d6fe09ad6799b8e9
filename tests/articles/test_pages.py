"""A page as real ones are: what the seed of this room looked like, rebuilt with other words."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.pages import read_page
from newsletter.errors import FeedError

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
URL = "https://meridian.example/2026/strait?utm_source=newsletter"
DEK = "The ministry’s decision to close the strait on Sunday threw a stone into a pond that was anything but still."

BARE = f"""<html lang="en-US"><head><title>Can the strait stay open? - The Meridian</title></head><body>
<div class="social">Follow us on social</div>
<img src="/media/260103-m-ab123-10111-scaled.jpg" alt="260103-m-ab123-10111-scaled">
<h1>Can the strait stay open?</h1>
<h2>{DEK}</h2>
<div>Analysis | Middle East</div>
<p>Years ago a minister shut the strait for a week and learned what bread costs in a port without ships.</p>
<p>{DEK} Two pilots who had kept quiet until then spoke up.</p>
<p>Guards of the harbour command board a tender in Port Amal, Jan. 3, 2026. The command is built for speed.
(Harbour Command photo by Sgt. Ro Gale)</p>
<div>Analysis | Middle East</div>
<div class="card"><img src="/media/korr.jpg" alt="Korr and Hale">
<p>Top photo credit: Premier Ada Korr and Mo Hale (now her envoy) in 2021. REUTERS/Jo Doe TPX IMAGES OF THE DAY</p>
<h3>Korr’s silence on the salt fields speaks volumes</h3><p>Europe</p>
<p>Last week the last salt field changed hands.</p>keep reading<span>Show less</span></div>
<div class="card"><img src="/media/mali.jpg" alt="mali"><p>Heads of state pose in Tarsk. REUTERS/Mo Hale//File Photo</p>
<h3>Juntas on the plain face their own crises</h3><p>Africa</p>keep readingShow less</div>
<h4>LATEST</h4><h4>SHORT WAVE</h4>
<form>Newsletter<p>Subscribe now to our weekly round-up and never miss a thing from our reporters and staff.</p></form>
</body></html>"""


def test_a_page_that_tells_machines_nothing_is_read_as_people_see_it():
    story = read_page(BARE, URL, now=NOW)
    assert story.url == "https://meridian.example/2026/strait"
    assert story.headline == "Can the strait stay open?"
    assert story.dek == DEK
    assert (story.kicker_kind, story.kicker_region) == ("Analysis", "Middle East")
    assert (story.byline, story.published_at) == ("", None)
    assert story.language == "en-US"
    assert story.image is not None
    assert story.image.url == "https://meridian.example/media/260103-m-ab123-10111-scaled.jpg"
    assert not story.image.alt_ok
    assert story.image.credit == "Harbour Command photo by Sgt. Ro Gale"
    assert story.image.caption.startswith("Guards of the harbour command")
    assert story.image.caption.endswith("built for speed.")


def page(head: str = "", body: str = "<h1>Can the strait stay open?</h1><p>Nobody in the port would say.</p>") -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"


def linked(**facts) -> str:
    data = {"@context": "https://schema.org", "@type": "NewsArticle", "headline": "Strait to stay open", **facts}
    return page(f'<script type="application/ld+json">{json.dumps(data)}</script>')


def test_json_ld_is_believed_first():
    story = read_page(
        linked(
            description="The pilots&#8217; vote was 12 to 3.",
            author=[{"@type": "Person", "name": "Mara Lindqvist"}, {"name": "Teo Marchetti"}],
            datePublished="2026-11-19T08:30:00+01:00",
            articleSection=["Analysis", "Middle East"],
            inLanguage="en",
            image=[{"@type": "ImageObject", "url": "/i/s.jpg", "width": 1200, "height": "675", "creditText": "Jo Doe"}],
        ),
        URL,
        now=NOW,
    )
    assert (story.headline, story.dek) == ("Strait to stay open", "The pilots’ vote was 12 to 3.")
    assert story.byline == "Mara Lindqvist, Teo Marchetti"
    assert story.published_at == dt.datetime(2026, 11, 19, 7, 30, tzinfo=dt.UTC)
    assert (story.kicker_kind, story.kicker_region) == ("Analysis", "Middle East")
    assert story.image is not None
    assert (story.image.url, story.image.credit) == ("https://meridian.example/i/s.jpg", "Jo Doe")
    assert (story.image.width, story.image.height) == (1200, 675)


@pytest.mark.parametrize(
    "author",
    ["Mara Lindqvist", {"name": "Mara Lindqvist"}, [{"name": ["Mara Lindqvist"]}], ["Mara Lindqvist", None, [[]]]],
)
def test_json_ld_may_give_one_thing_or_a_list(author):
    assert read_page(linked(author=author), URL, now=NOW).byline == "Mara Lindqvist"


def test_the_article_is_found_among_other_json_ld():
    graph = {"@graph": [{"@type": "WebSite", "name": "x"}, {"@type": ["Thing", "BlogPosting"], "headline": "Found"}]}
    scripts = f"""<script type="application/ld+json">{{broken</script><script type="application/ld+json">[[]]</script>
        <script type="APPLICATION/LD+JSON">{json.dumps(graph)}</script>"""
    assert read_page(page(scripts), URL, now=NOW).headline == "Found"


def test_opengraph_is_believed_next():
    head = """<meta property="og:title" content="Strait stays open | The Meridian"><meta property="og:site_name"
        content="The Meridian"><meta property="og:description" content="A vote of 12 to 3 &amp; a shrug.">
        <meta property="og:image" content="https://cdn.example/s.jpg?width=1200">
        <meta property="og:image:width" content="1200">
        <meta property="og:image:alt" content="Pilots raise their hands">
        <meta name="author" content="Mara Lindqvist">
        <meta property="article:published_time" content="2026-11-19T08:30:00Z">
        <meta property="article:section" content="Asia">
        <link rel="canonical" href="/2026/strait-open">"""
    story = read_page(page(head), URL, now=NOW)
    assert story.headline == "Strait stays open"
    assert story.dek == "A vote of 12 to 3 & a shrug."
    assert (story.byline, story.kicker_region) == ("Mara Lindqvist", "Asia")
    assert story.published_at == dt.datetime(2026, 11, 19, 8, 30, tzinfo=dt.UTC)
    assert story.url == "https://meridian.example/2026/strait-open"
    assert story.image is not None
    assert (story.image.alt, story.image.alt_ok, story.image.width) == ("Pilots raise their hands", True, 1200)


def test_a_caption_of_the_page_joins_the_picture_that_is_shared():
    body = """<article><h1>Strait</h1><figure>
        <img src="https://cdn.example/s.jpg?width=600" alt="Pilots raise their hands">
        <figcaption>The vote. (Photo by Jo Doe)</figcaption></figure><p>Nobody in the port would say.</p></article>
        <p>Others. REUTERS/Not Ours</p>"""
    head = '<meta property="og:image" content="https://cdn.example/s.jpg?width=1200">'
    image = read_page(page(head, body), URL, now=NOW).image
    assert image is not None
    assert (image.alt, image.caption, image.credit) == ("Pilots raise their hands", "The vote.", "Photo by Jo Doe")


def test_a_canonical_link_to_the_front_page_is_not_believed():
    story = read_page(page('<link rel="canonical" href="https://meridian.example/">'), URL, now=NOW)
    assert story.url == "https://meridian.example/2026/strait"


def test_a_time_element_gives_the_date():
    story = read_page(
        page(body="<h1>Strait</h1><time datetime='2026-11-18'>Wednesday</time><p>It is open."), URL, now=NOW
    )
    assert story.published_at == dt.datetime(2026, 11, 18, tzinfo=dt.UTC)


@pytest.mark.parametrize("nothing", ["", "<html></html>", "<html><body><img src=x></body></html>", "\x00\x01"])
def test_a_page_without_a_story_says_so(nothing):
    with pytest.raises(FeedError, match="No headline was found"):
        read_page(nothing, URL, now=NOW)


KEYS = st.sampled_from(["@type", "@graph", "headline", "author", "name", "image", "url", "datePublished", "width"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=9)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12))
def test_any_json_ld_is_survived(data):
    text = json.dumps({"@type": "Article", "headline": data, "author": data, "image": data, "datePublished": data})
    assert read_page(page(f'<script type="application/ld+json">{text}</script>'), URL, now=NOW).headline
