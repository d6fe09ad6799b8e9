import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery.transports.outcomes import Reply
from newsletter.delivery.transports.replies import MAX_LINE, MAX_LINES, Garbage, ReplyReader


def _all_at_once(data):
    return ReplyReader().feed(data)


def test_replies_are_read_with_and_without_text_and_over_several_lines():
    data = b"250 2.1.0 Ok\r\n250\r\n250-first\r\n250-second\r\n250 third\r\n354 go\n"
    expected = [Reply(250, "2.1.0 Ok"), Reply(250, ""), Reply(250, "first\nsecond\nthird"), Reply(354, "go")]
    assert _all_at_once(data) == expected


@given(st.data())
def test_packets_may_be_cut_anywhere(data):
    texts = data.draw(
        st.lists(st.tuples(st.integers(200, 599), st.lists(st.text("ab .=é-", max_size=9), min_size=1, max_size=4)))
    )
    stream = b"".join(
        b"".join(
            b"%d%b%b\r\n" % (code, b" " if n == len(lines) else b"-", line.encode()) for n, line in enumerate(lines, 1)
        )
        for code, lines in texts
    )
    reader, found, position = ReplyReader(), [], 0
    while position < len(stream):
        size = data.draw(st.integers(1, 7))
        found += reader.feed(stream[position : position + size])
        position += size
    assert found == [Reply(code, "\n".join(lines)) for code, lines in texts]
    assert not reader.unfinished


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 short\r\n",
        b"150 preliminary\r\n",
        b"600 too high\r\n",
        b"250+odd\r\n",
        b"\xff\xfe\x00\x01\r\n",
        b"250-one\r\n251 two\r\n",
        b"250-one\r\nno code\r\n",
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"x" * (MAX_LINE + 1),
        b"250-again\r\n" * (MAX_LINES + 1),
        "２５０ full-width digits\r\n".encode(),
    ],
)
def test_what_no_server_should_say_is_garbage(data):
    with pytest.raises(Garbage):
        _all_at_once(data)


@given(st.lists(st.binary(max_size=40), max_size=20))
@example([b"250-a\r\n", b"250", b" b\r\n"])
def test_any_bytes_give_replies_or_garbage_and_nothing_else(pieces):
    reader = ReplyReader()
    found = []
    with contextlib.suppress(Garbage):
        found = [reply for piece in pieces for reply in reader.feed(piece)]
    for reply in found:
        assert 200 <= reply.code <= 599
        assert all(character.isprintable() or character == "\n" for character in reply.text)


def test_the_enhanced_status_is_read_where_there_is_one():
    assert Reply(550, "5.1.1 No such user").enhanced == "5.1.1"
    assert Reply(550, "5.1.10").enhanced == "5.1.10"
    assert Reply(550, "No such user 5.1.1").enhanced == ""
    assert Reply(550, "5.1.1.1 odd").enhanced == ""


def test_a_reply_is_shown_in_one_line():
    assert (
        str(Reply(550, "5.7.1 Blocked\n5.7.1 see https://example.org"))
        == "550 5.7.1 Blocked 5.7.1 see https://example.org"
    )
