import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editions import Compiled, Slot

SLOTS = st.builds(
    Slot,
    st.sampled_from(["header", "text", "html"]),
    st.sampled_from(["leave_token", "track_token", "field:first_name"]),
    st.text(max_size=8),
)


@st.composite
def compiled(draw):
    slots = draw(st.lists(SLOTS, max_size=6))
    literals = draw(st.lists(st.binary(max_size=20), min_size=len(slots) + 1, max_size=len(slots) + 1))
    return Compiled(tuple(literals), tuple(slots))


@given(compiled())
def test_columns_give_back_what_they_were_made_of(original):
    literals, slots = original.to_columns()
    assert Compiled.from_columns(literals, json.loads(json.dumps(slots))) == original


@given(compiled(), compiled())
def test_the_digest_tells_messages_apart(one, other):
    assert (one.digest() == other.digest()) == (one == other)


def test_a_slot_moved_within_the_same_bytes_is_another_message():
    slot = Slot("html", "leave_token")
    assert Compiled((b"ab", b"c"), (slot,)).digest() != Compiled((b"a", b"bc"), (slot,)).digest()


def test_join_puts_each_value_into_its_slot():
    message = Compiled((b"To: ", b"\r\n\r\n", b"!"), (Slot("header", "to"), Slot("text", "field:first_name")))
    assert message.join([b"<ana@example.org>", b"Ana"]) == b"To: <ana@example.org>\r\n\r\nAna!"


def test_literals_and_slots_must_alternate():
    with pytest.raises(ValueError, match="cannot stand between"):
        Compiled((b"a",), (Slot("text", "leave_token"),))
    with pytest.raises(ValueError, match="need as many values"):
        Compiled((b"a",), ()).join([b"x"])


@pytest.mark.parametrize("name", ["leave_token", "preferences_token", "track_token"])
@pytest.mark.parametrize("value", ["", "a b", "a\r\n", "ä", "a/b", "a=", "a\n"])
def test_a_token_takes_only_the_letters_of_tokens(name, value):
    with pytest.raises(ValueError, match="cannot stand"):
        Slot("html", name).encode(value)


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "a\nb", "a\0b", "", "a\r\n\r\nbody", "a\r\n"])
def test_a_header_value_cannot_start_another_header(value):
    with pytest.raises(ValueError, match="cannot stand"):
        Slot("header", "to").encode(value)


def test_a_header_value_may_be_folded():
    assert Slot("header", "to").encode("=?utf-8?q?Zo=C3=AB?=\r\n <zoe@example.org>").count(b"\r\n ") == 1


def test_a_field_is_encoded_for_its_place():
    assert Slot("html", "field:first_name").encode("<b>&Zoë") == b"&lt;b&gt;&amp;Zo=C3=AB"
    assert Slot("text", "field:first_name").encode("<b>&Zoë") == b"<b>&Zo=C3=AB"
    assert Slot("header", "field:first_name").encode("Zoe") == b"=?utf-8?q?Zoe?="


def test_an_empty_field_is_its_default():
    assert Slot("text", "field:first_name", "reader").encode(" \n ") == b"reader"


def test_a_field_cannot_end_its_line_or_start_it_with_a_dot():
    assert Slot("text", "field:first_name").encode(".\r\n.\r\nx") == b"=2E . x"
