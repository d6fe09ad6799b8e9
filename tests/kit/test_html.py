import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.kit.html import paragraphs, plain_text, tidy, tokens

# fmt: off
SCRAPS = st.lists(st.sampled_from([
    "<p>", "</p>", "<b", ">", "<!--", "-->", "<script>", "</script>", "&amp;", "&#8217;", "&#99999999999;", "<", "&",
    "</", '"', "'", "=", "<img src='a' alt=\"", "<figure>", "text ", "\ud800", "\x00", "<![CDATA[", "<?x",
]), max_size=40).map("".join)
# fmt: on


def test_blocks_become_paragraphs_and_inline_elements_do_not():
    markup = "<div>One <b>bold</b> line</div>two<br>three<ul><li>four</ul><p>wrapped\nin source</p>"
    assert paragraphs(markup) == ["One bold line", "two", "three", "four", "wrapped in source"]


def test_entities_are_decoded_exactly_once():
    assert plain_text("Q&amp;A about &amp;lt;b&amp;gt; &#8211; caf&eacute;") == "Q&A about &lt;b&gt; – café"


def test_plain_text_is_left_as_it_is():
    assert plain_text("Fish & chips: 3 < 5 > 2") == "Fish & chips: 3 < 5 > 2"


def test_what_is_not_for_reading_is_left_out():
    markup = (
        "<title>T</title><style>p{}</style><script>x('<p>no</p>')</script><!-- <p>no</p> --><button>Menu</button>Yes"
    )
    assert paragraphs(markup) == ["Yes"]


def test_named_elements_can_be_left_out_even_when_nested():
    markup = "<figure><figure>inner</figure>outer</figure><p>kept</p>"
    assert paragraphs(markup, without=frozenset({"figure"})) == ["kept"]


def test_a_script_ends_only_at_its_end_tag():
    kinds = [(token.kind, token.text) for token in tokens("<script>if (a<b) '</p>'</SCRIPT>after")]
    assert kinds == [("start", ""), ("raw", "if (a<b) '</p>'"), ("end", ""), ("text", "after")]


def test_attributes_are_read_in_every_spelling():
    (tag,) = tokens("<IMG src=a.png ALT='Q&amp;A' title=\"x > y\" hidden alt=second/>")
    assert tag.name == "img"
    assert tag.attributes == {"src": "a.png", "alt": "Q&A", "title": "x > y", "hidden": ""}


def test_c1_controls_are_the_windows_characters_they_were_meant_to_be():
    assert tidy("the minister\x92s \x93no\x94 \x96 again\x85") == "the minister’s “no” – again…"


def test_characters_that_hide_or_reorder_text_are_removed():
    assert tidy("in\u200bvis\u00adible \u202egnp.exe\u202c \ufeffmark \u2066x\u2069") == "invisible gnp.exe mark x"


def test_joiners_that_spelling_needs_are_kept():
    persian, family = "می\u200cخواهم", "👩\u200d👧"
    assert tidy(persian) == persian
    assert tidy(family) == family


def test_control_characters_and_surrogates_never_come_out():
    assert tidy("a\x00b\x1b[31mc\ud800d\r\ne") == "a b [31mcd e"


def test_accents_are_composed():
    assert tidy("Cafe\u0301") == "Café"


@given(st.one_of(st.text(), SCRAPS))
def test_any_input_gives_lines_that_can_be_stored(markup):
    for line in paragraphs(markup):
        assert line == tidy(line) != ""
        line.encode()  # PostgreSQL takes no surrogates ...
        assert "\x00" not in line  # ... and no NUL


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 60_000,
        "<b a=1>" * 500 + "<p>" * 50_000,
        "<b x=1></q>" * 50_000,
        "<!--" * 60_000,
        "<script" * 60_000,
        "<a b='" * 60_000,
        "<" * 100_000,
        "&#" + "9" * 200_000,
        "<a " + " " * 200_000,
    ],
    ids=["deep", "formatting", "mismatched", "comments", "scripts", "quotes", "angles", "digits", "spaces"],
)
def test_hostile_markup_takes_no_time(markup):
    began = time.process_time()
    paragraphs(markup)
    assert time.process_time() - began < 3
