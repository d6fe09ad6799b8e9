from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions.marks import Marks
from newsletter.editions.text import WIDTH, underlined, wrapped

WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=300)


@given(WORDS)
def test_lines_are_short_and_no_letter_is_lost(text):
    lines = wrapped(text).split("\n")
    assert all(len(line) <= WIDTH for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_web_address_is_never_broken():
    url = "https://meridian.example/" + "a" * 120
    assert url in wrapped(f"See {url} for more.").split("\n")[1]


def test_a_readers_place_is_never_broken():
    mark = Marks("seed").token("leave_token")
    assert mark in wrapped("x" * 70 + mark + "y" * 70)


def test_a_script_without_blanks_is_cut_at_the_lines_end():
    assert [len(line) for line in wrapped("海" * 100).split("\n")] == [76, 24]


def test_a_heading_is_underlined_over_its_width():
    assert underlined("Europe") == "Europe\n------"
    assert underlined("Café", "=") == "Café\n===="
