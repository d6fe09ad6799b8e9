"""An issue to mail and web: what is printed, what vanishes, what can never happen."""

import re

import pytest
from factories import editions as make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from newsletter.editions import compose
from newsletter.editions.linter import faults
from newsletter.errors import Invalid

BASE = make.BASE_URL


def composed(issue=None, base_url=BASE, **publication):
    return compose(issue or make.week(), make.publication(**publication), base_url)


def one_story(**fields):
    """An issue whose only story, a card, has these fields."""
    return make.view(("Europe", [make.placement(1, **fields)]))


def outline(html, selector):
    """The elements of a block, without words: ``h2.headline(a.bare)``; ``#`` is a comment for Outlook."""
    node = LexborHTMLParser(html).css_first(selector)
    return _outlined(node)


def _outlined(node):
    if node.tag == "-comment":
        return "#"
    classes = (node.attributes.get("class") or "").replace(" ", ".")
    inner = " ".join(_outlined(child) for child in node.iter())
    return f"{node.tag}{'.' if classes else ''}{classes}{f'({inner})' if inner else ''}"


# ------------------------------------------------------------------------------------------- blocks


def test_the_masthead():
    html = composed(make.week(title="A week of straits")).html
    assert outline(html, "td.masthead") == ("td.masthead(h1.name.ink p.tagline.soft p.dateline.soft p.title.ink)")
    assert LexborHTMLParser(html).css_first(".dateline").text().split("·")[1].strip() == "Friday, November 20, 2026"


def test_a_title_that_only_repeats_the_masthead_is_left_out():
    assert "p.title" not in outline(composed(make.week(title="The Meridian No. 42")).html, "td.masthead")


def test_a_masthead_without_tagline_and_title():
    assert outline(composed(tagline="").html, "td.masthead") == "td.masthead(h1.name.ink p.dateline.soft)"


def test_a_logo_stands_for_the_name():
    brand = {
        "logo_url": "https://meridian.example/logo.png",
        "logo_alt": "The Meridian",
        "logo_width": 320,
        "logo_height": 60,
    }
    html = composed(brand=brand).html
    assert outline(html, "h1") == "h1.name.ink(img.logo)"
    logo = LexborHTMLParser(html).css_first("h1 img").attributes
    assert (logo["alt"], logo["width"], logo["height"]) == ("The Meridian", "320", "60")
    assert faults(html) == ()


def test_the_note_is_paragraphs_with_counted_links():
    result = composed()
    assert outline(result.html, "td.note") == "td.note.ink(p p(a.link) p)"
    assert ("https://meridian.example/tides", "https://meridian.example/tides") in [
        (link.url, link.label) for link in result.links
    ]
    assert (
        "<a" not in composed(make.week(note="See http://[ and https:// for nothing.")).html.split("note ink")[1][:300]
    )


def test_the_lead():
    html = composed().html
    assert outline(html, "td.shot") == "td.shot.soft.page(a.bare(img.fill))"
    assert outline(html, "td.lead") == (
        "td.lead.ink(p.kicker.tint h2.headline(a.bare) p.meta.soft(bdi bdi) p.standfirst div.action(# # a.button #))"
    )
    picture = LexborHTMLParser(html).css_first("td.shot img").attributes
    assert (picture["width"], picture["height"]) == ("600", "400")
    button = LexborHTMLParser(html).css_first("a.button")
    assert button.attributes["aria-label"] == "Read the full story: The strait that nobody closed"


def test_outlooks_button_leads_where_the_button_leads():
    html = composed().html
    (vml,) = re.findall(r'<v:roundrect href="([^"]*)"', html)
    assert vml == LexborHTMLParser(html).css_first("a.button").attributes["href"]


def test_a_card_with_a_photo():
    html = composed(one_story()).html
    assert outline(html, "div.card") == (
        "div.card.pair(# div.photo.soft(a.bare(img.fill) p.credit.soft) "
        "# div.tale(p.kicker.tint h3.story(a.bare) p.meta.soft(bdi bdi) p.dek) #)"
    )
    picture = LexborHTMLParser(html).css_first("div.photo img").attributes
    assert (picture["width"], picture["height"]) == ("200", "133")


@pytest.mark.parametrize(
    "missing", [{"image_url": ""}, {"show_image": False}, {"image_url": "data:image/png;base64,x"}]
)
def test_a_card_without_a_photo_is_words_only(missing):
    assert outline(composed(one_story(**missing)).html, "div.card") == (
        "div.card(p.kicker.tint h3.story(a.bare) p.meta.soft(bdi bdi) p.dek)"
    )


def test_a_photo_without_a_usable_description_is_decoration():
    html = composed(one_story(image_alt="191231-m-pg096-10111-scaled", image_alt_ok=False)).html
    assert outline(html, "div.photo") == "div.photo.soft(img.fill p.credit.soft)"
    assert LexborHTMLParser(html).css_first("div.photo img").attributes["alt"] == ""
    assert "scaled" not in html


def test_a_photo_of_unknown_size_has_a_width_only():
    html = composed(one_story(image_width=None, image_height=None)).html
    assert "height" not in LexborHTMLParser(html).css_first("div.photo img").attributes


def test_a_story_with_nothing_but_a_headline_leaves_no_gaps():
    bare = one_story(byline="", published_at=None, dek="", kicker_kind="", kicker_region="", image_url="")
    result = composed(bare)
    assert outline(result.html, "div.card") == "div.card(h3.story(a.bare))"
    for text in (result.html, result.text, result.web_html):
        assert "None" not in text
        assert "By " not in text
    assert "Story 1\nhttps://" in result.text


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"byline": ""}, "November 18"),
        ({"published_at": None}, "By Ines Duarte"),
        ({}, "By Ines Duarte\xa0· November 18"),
    ],
)
def test_byline_and_date_vanish_cleanly(fields, shown):
    assert LexborHTMLParser(composed(one_story(**fields)).html).css_first(".meta").text() == shown


@pytest.mark.parametrize(
    ("kind", "region", "shown"), [("Analysis", "Europe", "Analysis | Europe"), ("", "Europe", "Europe")]
)
def test_the_kicker(kind, region, shown):
    issue = one_story(kicker_kind=kind, kicker_region=region)
    assert LexborHTMLParser(composed(issue).html).css_first(".kicker").text() == shown


def test_an_empty_section_is_left_out_and_so_is_one_whose_story_leads():
    issue = make.view(("Europe", [make.placement(1, lead=True)]), ("Asia", []), ("Africa", [make.placement(2)]))
    html = composed(issue).html
    assert [node.text() for node in LexborHTMLParser(html).css("h2.section")] == ["Africa"]


def test_the_footer_says_who_why_and_how_to_leave():
    footer = LexborHTMLParser(composed().html).css_first("td.footer")
    for words in ("You get this mail because you subscribed to The Meridian", "12 Harbour Lane", "1100-148 Lisbon"):
        assert words in footer.text()
    hrefs = {link.text(): link.attributes["href"] for link in footer.css("a")}
    assert hrefs["Unsubscribe"].startswith(f"{BASE}/u/")
    assert hrefs["Change your preferences"].startswith(f"{BASE}/p/")


def test_the_preheader_comes_first_and_is_padded():
    html = composed().html
    hidden = LexborHTMLParser(html).css_first("body > *")
    assert hidden.text().strip().startswith("Nine days of panic")
    assert "display:none" in hidden.attributes["style"]
    assert len(hidden.text()) > 200


# ------------------------------------------------------------------------------------------- the whole


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("issue", [make.week(), make.stories(60), one_story(dek="", byline=""), make.view()])
def test_the_linter_finds_nothing(issue, direction):
    assert faults(composed(issue, direction=direction).html) == ()


def test_every_colour_and_font_of_the_brand_is_printed_as_it_is():
    html = composed(brand={"accent": "#123456", "head_font": "times"}).html
    assert "background-color:#123456" in html
    assert """"Times New Roman",Times,serif""" in html
    assert "&#39;" not in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "[data-ogsc] .ink" in html
    assert "!important" in html


def test_the_text_has_every_headline_and_address_on_short_lines():
    result = composed()
    for placement in make.week().placements:
        assert placement.headline in result.text.replace("\n", " ")
    for link in result.links:
        assert re.search(rf"/c/\w+/{link.n}\b", result.text)
    for line in result.text.split("\n"):
        assert len(line) <= 78 or "://" in line
        assert line == line.rstrip()
    assert not re.search(r"&\w+;|<[a-z]", result.text)
    assert "Europe\n------\n" in result.text


def test_the_same_issue_gives_the_same_bytes():
    assert composed() == composed()
    assert composed().content_hash() == composed().content_hash()


@pytest.mark.parametrize("change", [{"subject": "Another"}, {"note": "Another"}, {"title": "Another"}, {"number": 43}])
def test_changed_words_change_the_hash(change):
    assert composed(make.week(**change)).content_hash() != composed().content_hash()


def test_a_changed_target_behind_the_same_words_changes_the_hash():
    moved = one_story(url="https://meridian.example/moved")
    assert composed(moved).compiled == composed(one_story()).compiled
    assert composed(moved).content_hash() != composed(one_story()).content_hash()


@pytest.mark.parametrize("version", [{"version": 9, "approved_by": "ana@meridian.example"}])
def test_an_approval_does_not(version):
    assert composed(make.week(**version)) == composed()


def test_twenty_stories_stay_light():
    result = composed(make.stories(20))
    assert result.html_bytes <= 45_000
    assert len(make.filled(result.compiled)) <= 55_000


def test_an_unknown_theme_is_named():
    with pytest.raises(Invalid, match="no theme “brochure”; there is: weekly") as refused:
        composed(theme="brochure")
    assert refused.value.field == "theme"


# ------------------------------------------------------------------------------------------- links


def test_each_target_is_counted_once_by_its_number():
    issue = make.view(("A", [make.placement(1), make.placement(2, url=make.placement(1).url), make.placement(3)]))
    links = composed(issue, website="").links
    assert [(link.n, link.url, link.article_id) for link in links] == [
        (1, "https://meridian.example/2026/11/story-1", 101),
        (2, "https://meridian.example/2026/11/story-3", 103),
        (3, f"{BASE}/n/meridian", None),
    ]


def _hrefs(html):
    return {node.attributes["href"] for node in LexborHTMLParser(html).css("a")}


def test_every_outside_link_is_counted_and_only_those():
    result = composed()
    direct = {href for href in _hrefs(result.html) if "/c/" not in href}
    assert {href.removeprefix(BASE)[:3] for href in direct} == {"/u/", "/p/", "/n/"}
    assert f"{BASE}/n/meridian/42" in direct
    counted = _hrefs(result.html) - direct
    assert {int(href.rsplit("/", 1)[1]) for href in counted} == {link.n for link in result.links}
    assert f"{BASE}/o/" in result.html


def test_without_tracking_links_are_direct_and_there_is_no_pixel():
    result = composed(tracking=False)
    for part in (result.html, result.text):
        assert "/c/" not in part
        assert "/o/" not in part
        assert "https://meridian.example/2026/11/story-1" in part
    assert {slot.name for slot in result.compiled.slots if slot.place != "header"} == {
        "leave_token", "preferences_token",
    }  # fmt: skip


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example", "data:text/html,x", "http://[", "https://a b"]
)
def test_a_link_that_is_no_web_address_is_refused(url):
    with pytest.raises(Invalid, match="no web address"):
        composed(one_story(url=url))


# ------------------------------------------------------------------------------------------- web version


def test_the_web_version_holds_nothing_of_any_reader():
    result = composed(make.week(subject='{{ first_name | default("Reader") }}, the strait'))
    page = result.web_html
    for private in ("/u/", "/p/", "/c/", "/o/", "zq", "{{"):
        assert private not in page
    assert _hrefs(page) >= {placement.url for placement in make.week().placements}


def test_the_web_version_tells_other_pages_what_it_is():
    tree = LexborHTMLParser(composed().web_html)
    assert tree.css_first("link[rel=canonical]").attributes["href"] == f"{BASE}/n/meridian/42"
    found = {node.attributes["property"]: node.attributes["content"] for node in tree.css("meta[property]")}
    assert found["og:title"] == "The strait that nobody closed"
    assert found["og:url"] == f"{BASE}/n/meridian/42"
    assert found["og:image"] == "https://pictures.meridian.example/1.jpg"
    assert found["article:published_time"] == "2026-11-20"
    assert tree.css_first("title").text() == "The strait that nobody closed – The Meridian"
    assert len(tree.css("h1")) == 1


def test_the_web_version_prints_the_same_stories():
    def words(html):
        return [" ".join(node.text().split()) for node in LexborHTMLParser(html).css("h1, h2, h3, .dek, .note p")]

    assert words(composed().web_html) == words(composed().html)


# ------------------------------------------------------------------------------------------- people's words

PAYLOADS = [
    "{{ 7*7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "${7*7} #{7*7} <%= 7*7 %> *|NAME|*",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)> ' onmouseover='alert(1)",
    "--><![endif]--><script>alert(1)</script>",
    "</style></title></table></body></html>",
    "x\r\nBcc: victim@example.org\r\n\r\nbody",
    "@@UNSUBSCRIBE@@ zq0123456789ab000qz",
    "\u0000\u0092\u2028.\n.\n..\nend",
    "=?utf-8?q?forged?=",
]
FEED_FIELDS = [
    "headline",
    "dek",
    "byline",
    "kicker_kind",
    "kicker_region",
    "image_alt",
    "image_caption",
    "image_credit",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_feeds_words_are_inert_wherever_they_stand(payload):
    issue = make.view(("Europe", [make.placement(1, lead=True, **dict.fromkeys(FEED_FIELDS, payload))]))
    result = composed(issue)
    assert "49" not in re.sub(r"[0-9a-z./:]{5,}", "", result.text)
    for document in (result.html, result.web_html):
        tree = LexborHTMLParser(document)
        assert tree.css("script, svg, [onerror], [onload], [onmouseover]") == []
        shown = " ".join(tree.css_first("h2.headline").text().split())
        assert shown == " ".join(payload.replace("\0", "").replace("\x92", "’").split())
    assert faults(result.html) == ()
    raw = make.filled(result.compiled)
    assert b"\nBcc:" not in raw


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if "{{" not in payload])
@pytest.mark.parametrize("field", ["subject", "preheader", "note", "title"])
def test_an_editors_words_are_inert_too(payload, field):
    result = composed(make.week(**{field: payload}))
    assert LexborHTMLParser(result.html).css("script, svg, [onerror], [onload], [onmouseover]") == []
    assert b"\nBcc:" not in make.filled(result.compiled)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_publications_words_are_inert_too(payload):
    result = composed(name=payload, tagline=payload, postal_address=payload)
    assert LexborHTMLParser(result.html).css("script, svg, [onerror], [onload], [onmouseover]") == []
    raw = make.filled(result.compiled)
    assert b"\nBcc:" not in raw.partition(b"\r\n\r\n")[0]


def test_a_merge_tag_is_a_slot_in_every_part():
    issue = make.week(
        subject='{{ first_name | default("Reader") }}, the strait',
        note='Dear {{ first_name | default("reader") }}, good afternoon.',
        preheader="For {{ last_name }}",
    )
    result = composed(issue)
    fields = {(slot.place, slot.name, slot.default) for slot in result.compiled.slots if slot.field}
    assert fields == {
        ("header", "field:first_name", "Reader"),
        ("text", "field:first_name", "reader"),
        ("html", "field:first_name", "reader"),
        ("html", "field:last_name", ""),
    }
    assert result.subject == "Reader, the strait"
    assert "Dear reader, good afternoon." in result.web_html


def test_a_tag_counts_in_an_editors_headline_but_not_in_a_feeds():
    from_feed = one_story(headline="What {{ first_name }} means")
    assert "What {{ first_name }} means" in composed(from_feed).html
    by_editor = one_story(headline="For you, {{ first_name }}", original_headline="For you")
    assert "For you, " in composed(by_editor).html
    assert "{{" not in composed(by_editor).html
    assert [slot.place for slot in composed(by_editor).compiled.slots if slot.field] == ["text", "html"]


def test_a_tag_in_the_subject_needs_a_default():
    with pytest.raises(Invalid, match="first_name needs words") as refused:
        composed(make.week(subject="{{ first_name }}, the strait"))
    assert refused.value.field == "subject"


@pytest.mark.parametrize("field", ["subject", "preheader", "note"])
def test_a_wrong_tag_names_its_field(field):
    with pytest.raises(Invalid, match="nickname") as refused:
        composed(make.week(**{field: "Hello {{ nickname }}"}))
    assert refused.value.field == field


WORDS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("@.=\r\n<>&\"' \u0092\u202e👩\u200d🚀بشרק海"),
    ),
    max_size=120,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=WORDS, name=WORDS, direction=st.sampled_from(["ltr", "rtl"]))
def test_whatever_is_written_the_mail_stays_whole(words, name, direction):
    fields = dict.fromkeys(FEED_FIELDS, words)
    issue = make.view(("Europe " + words, [make.placement(1, lead=True, **fields), make.placement(2, dek=words)]))
    result = composed(issue, direction=direction, name="The " + name, from_name=name)
    tolerated = {"empty heading", "link name"} if not words.split() or not re.search(r"\w", words) else set()
    assert {fault.rule for fault in faults(result.html)} <= tolerated
    assert not re.search("[\x7f-\x9f]", result.html + result.text + result.web_html)
    raw = make.filled(result.compiled)
    assert raw.isascii()
    for line in raw.split(b"\r\n"):
        assert not line.startswith(b".")
        assert len(line) <= 76 or line.startswith((b"List-", b" <http"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
