import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.extract import byline, clean
from newsletter.articles.story import RawImage, RawStory

NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
BASE = "https://meridian.example/feed"
ODD = st.text(st.characters(), max_size=60)  # surrogates and control characters too


def cleaned(**fields):
    return clean(RawStory(**{"url": "/1", "headline": "Treaty", **fields}), base=BASE, now=NOW)


def test_what_has_no_address_or_no_words_is_no_story():
    assert cleaned(url="", guid="not an address") is None
    assert cleaned(url="mailto:desk@meridian.example") is None
    assert cleaned(url="/" + "x" * 2000) is None
    assert cleaned(headline="  &nbsp; ") is None


def test_a_guid_is_there_always_and_fits_its_index():
    assert cleaned().guid == "meridian.example/1"
    assert len(cleaned(guid="ü" * 5000).guid.encode()) <= 1000


def test_texts_fit_their_columns():
    story = cleaned(headline="h" * 900, authors=("a" * 900,), section="s" * 900, kicker="k" * 900, language="x" * 900)
    assert len(story.headline) == 500
    assert story.headline.endswith("…")
    assert len(story.byline) == 300
    assert len(story.section) == 120
    assert len(story.kicker_region) == 120
    assert story.language == ""


def test_a_picture_that_is_too_long_to_keep_is_left_out():
    assert cleaned(images=(RawImage(url="https://a.example/" + "x" * 2000),)).image is None


def test_names_are_joined_once_each():
    assert byline(["By Ana Brito", "ana brito", "", "None", "Rui &amp; Co"]) == "Ana Brito, Rui & Co"


@given(st.builds(
    RawStory,
    url=st.one_of(ODD, ODD.map("https://a.example/".__add__)), headline=ODD, guid=ODD, summary=ODD, content=ODD,
    kicker=ODD, labels=st.tuples(ODD), authors=st.tuples(ODD, ODD), section=ODD, language=ODD, base=ODD,
    images=st.tuples(st.builds(RawImage, url=ODD, alt=ODD, caption=ODD, credit=ODD, width=st.integers())),
))  # fmt: skip
def test_any_raw_story_gives_one_that_can_be_stored_or_none(raw):
    story = clean(raw, base=BASE, now=NOW)
    if story is not None:
        assert story.headline
        assert story.guid
        repr(story).encode()  # no lone surrogate is left
        for text in (story.headline, story.guid, story.dek, story.byline, story.kicker_kind, story.section):
            assert "\x00" not in text
