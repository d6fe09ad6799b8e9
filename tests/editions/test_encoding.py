import email
import email.policy
import quopri
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.editions.encoding import encoded_words, header_text, mailbox, phrase, quoted_printable
from newsletter.editions.words import cleaned, one_line

TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(".= \n\té=😀ب")), max_size=400)


def _decoded(raw):
    return quopri.decodestring(raw).decode().replace("\r\n", "\n")


@given(TEXTS.map(cleaned))
@example("." * 200)
@example("=" * 100)
@example("a" * 74 + "é" + "b" * 80)
@example(" \n \n. \n")
def test_quoted_printable_is_read_back_as_it_was(text):
    assert _decoded(quoted_printable(text)) == text


@given(TEXTS.map(cleaned))
def test_quoted_printable_keeps_to_the_lines_of_a_message(text):
    raw = quoted_printable(text)
    lines = raw.split(b"\r\n")
    assert raw.isascii()
    assert all(len(line) <= 76 and not line.startswith(b".") and not line.endswith(b" ") for line in lines)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert len(lines[-1]) <= 75


@given(st.lists(TEXTS.map(cleaned), min_size=1, max_size=5))
def test_pieces_joined_by_soft_breaks_are_read_as_one_text(pieces):
    assert _decoded(b"=\r\n".join(quoted_printable(piece) for piece in pieces)) == "".join(pieces)


def _read_header(name, raw):
    return email.message_from_bytes(b"%s: %s\r\n\r\n" % (name, raw), policy=email.policy.default)[name.decode()]


@given(TEXTS.map(one_line).filter(bool))
@example("=?utf-8?q?forged?=")
@example("a " * 120)
@example("é" * 120)
@example("😀" * 60)
def test_a_header_is_read_back_as_it_was_written(text):
    raw = header_text(text)
    assert str(_read_header(b"Subject", raw)) == text
    assert raw.isascii()
    assert all(len(line) <= 76 for line in (b"Subject: " + raw).split(b"\r\n"))


@given(TEXTS.map(one_line).filter(bool))
@example('The "Weekly", Ltd. (Lisbon)')
@example("a\\b")
@example("Zoë, <script>")
def test_a_display_name_is_read_back_as_it_was_written(text):
    raw = phrase(text)
    (author,) = _read_header(b"From", raw + b" <desk@example.org>").addresses
    assert author.addr_spec == "desk@example.org"
    if b"=?" in raw:  # the newer parser keeps the blank between two words of a phrase; RFC 2047, 6.2, drops it
        assert str(make_header(decode_header(raw.decode()))) == text
    else:
        assert author.display_name == text


@given(TEXTS.map(one_line).filter(bool))
def test_encoded_words_never_break_a_character(text):
    for word in encoded_words(text):
        assert len(word) <= 75
        assert str(_read_header(b"Subject", word))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", b"<ana@example.org>"),
        ("Ana Lopes", b"Ana Lopes <ana@example.org>"),
        ("Lopes, Ana", b'"Lopes, Ana" <ana@example.org>'),
        ("José", b"=?utf-8?b?Sm9zw6k=?= <ana@example.org>"),
        ("Ana " * 13 + "Lopes", b"Ana " * 13 + b"Lopes\r\n <ana@example.org>"),
    ],
)
def test_a_name_stands_before_its_address_and_is_folded_when_a_line_is_too_short(name, expected):
    assert mailbox(name, "ana@example.org") == expected
