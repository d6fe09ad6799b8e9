import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions.words import cleaned, one_line, paragraphs


@given(st.text(st.characters()))
def test_no_control_character_is_left(text):
    for character in cleaned(text):
        assert character in "\n\t" or ord(character) >= 32
        assert not 0x7F <= ord(character) <= 0x9F
        assert not 0xD800 <= ord(character) <= 0xDFFF
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("given_text", "meant"),
    [
        ("It\u0092s \u0093here\u0094", "It’s “here”"),  # Windows-1252 read as Latin-1
        ("a\u0081b", "ab"),  # a C1 that means nothing in Windows-1252
        ("a\r\nBcc: b", "a Bcc: b"),
        ("a\u2028b\u2029c\u0085d", "a b c d"),
        ("a\0b\x1b", "ab"),
        ("  a \t b  ", "a b"),
        ("a\ud800b", "ab"),
    ],
)
def test_what_is_meant_is_kept(given_text, meant):
    assert one_line(given_text) == meant


def test_direction_and_joiners_are_left_alone():
    assert one_line("\u200fشرق\u200f 👩\u200d🚀") == "\u200fشرق\u200f 👩\u200d🚀"


def test_paragraphs_are_cut_at_empty_lines():
    assert paragraphs("One\nstill one.\r\n\r\n  \nTwo.\n\n\n") == ("One still one.", "Two.")
