import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.articles.deks import MAX_DEK, choose, first_sentence

HEADLINE = "Can the river treaty be saved?"
DEK = "Two capitals that share one river have stopped sharing their figures."


@pytest.mark.parametrize(
    "leftover",
    [
        "keep readingShow less",
        " keep reading Show less",
        " Read more",
        " Read More »",
        " Continue reading…",
        " Continue reading “Can the river treaty be saved?” →",
        " Read the full story.",
        " [Read more…]",
        " (more…)",
        f" The post {HEADLINE} appeared first on The Meridian.",
        " keep reading show less The post X first appeared on Y.",
    ],
)
def test_what_buttons_and_plugins_leave_behind_is_removed(leftover):
    assert choose([DEK + leftover], HEADLINE) == DEK


@pytest.mark.parametrize("line", ["Children should read more", "The ministers may yet show less of it"])
def test_words_that_only_look_like_a_button_stay(line):
    assert choose([line], HEADLINE) == line


def test_only_leftovers_give_no_dek():
    assert choose(["keep readingShow less", "Read more", ""], HEADLINE) == ""


def test_what_is_no_dek_is_stepped_over():
    lines = [
        HEADLINE,
        "Analysis | Middle East",
        "By Mara Lindqvist",
        "20 November 2026",
        "Top photo credit: The dam at Tarsk. REUTERS/Jo Doe",
        DEK,
        "The first paragraph of the body.",
    ]
    assert choose(lines, HEADLINE) == DEK


def test_a_headline_in_front_of_the_dek_is_not_repeated():
    assert choose([f"{HEADLINE} – {DEK}"], HEADLINE) == DEK
    assert choose([f"{HEADLINE}s are the question."], HEADLINE) == f"{HEADLINE}s are the question."


def test_a_short_dek_is_taken_when_there_is_no_longer_one():
    assert choose(["Mara", "Not again."], HEADLINE) == "Not again."


def test_a_long_text_is_cut_behind_a_sentence():
    text = " ".join([DEK] * 8)
    assert choose([text], HEADLINE) == " ".join([DEK] * 4)


def test_titles_and_initials_end_no_sentence():
    text = (
        "Gen. A. Korr and Sen. Hale met in the U.S. capital on Friday, and nobody would say why they did. " + "X " * 200
    )
    assert choose([text], HEADLINE) == text.partition(" X")[0]


def test_a_text_without_sentences_is_cut_between_words():
    cut = choose(["harbour " * 60], HEADLINE)
    assert cut.endswith("harbour…")
    assert len(cut) <= MAX_DEK


def test_a_sentence_that_the_source_broke_off_ends_in_an_ellipsis():
    assert (
        choose(["The minister said that the border would […]"], HEADLINE) == "The minister said that the border would…"
    )
    assert choose([f"{DEK} The minister said that […]"], HEADLINE) == DEK
    assert choose(["He left on Monday. […]"], HEADLINE) == "He left on Monday."


def test_scripts_without_spaces_are_read():
    assert choose(["会谈没有结果。边境仍然关闭。"], "") == "会谈没有结果。边境仍然关闭。"


def test_a_headline_can_be_made_of_a_first_sentence():
    assert first_sentence("The dam broke. Nobody was hurt.", 100) == "The dam broke."
    assert first_sentence("The dam at Tarsk broke", 12) == "The dam at…"
    assert first_sentence("", 100) == ""


@given(st.lists(st.text(max_size=400), max_size=4), st.text(max_size=50))
def test_any_text_gives_a_dek_that_fits(lines, headline):
    assert len(choose(lines, headline)) <= MAX_DEK
