"""The whole message, as a mail program reads it."""

import email
import email.policy

import pytest
from factories import editions as make
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.editions import Compiled, compose
from newsletter.errors import Invalid


def composed(issue=None, **publication):
    return compose(issue or make.week(), make.publication(**publication), make.BASE_URL)


def read(result, **values):
    return email.message_from_bytes(make.filled(result.compiled, **values), policy=email.policy.default)


def filled_text(result, part, place, **values):
    """A part as the compiled message should give it: the rendered one with each mark's value."""
    known = make.VALUES | values
    names = iter([slot for slot in result.compiled.slots if slot.place == place])
    import re

    from newsletter.editions.marks import SHAPE

    def value(_match):
        slot = next(names)
        return known.get(slot.field or slot.name, "") or slot.default

    return re.sub(SHAPE, value, part)


def test_the_headers():
    message = read(composed())
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": "The Meridian Review <desk@meridian.example>",
        "To": "Ana Reader <ana@reader.example>",
        "Subject": "The strait that nobody closed",
        "Date": "Fri, 20 Nov 2026 15:00:00 +0000",
        "Message-ID": "<42.7f3a@meridian.example>",
        "Reply-To": "letters@meridian.example",
        "List-ID": "The Meridian <meridian.meridian.example>",
        "List-Archive": f"<{make.BASE_URL}/n/meridian>",
        "List-Unsubscribe": f"<{make.BASE_URL}/u/AQIqbm93LWEtdG9rZW4xMjM0>,"
        " <mailto:b+aebagbaf4x7yq@bounces.meridian.example?subject=unsubscribe>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "42:1:newsletter:meridian",
        "Precedence": "bulk",
        "MIME-Version": "1.0",
    }


def test_every_header_stands_once():
    names = [name.lower() for name in read(composed()).keys()]  # noqa: SIM118 - a message gives each name as often as it stands
    assert len(names) == len(set(names))


def test_text_comes_first_and_both_parts_read_as_rendered():
    result = composed()
    message = read(result)
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    assert text.get_content().replace("\r\n", "\n") == filled_text(result, result.text, "text")
    assert html.get_content().replace("\r\n", "\n") == filled_text(result, result.html, "html")
    assert message.defects == text.defects == html.defects == []


def test_the_message_is_seven_bit_with_short_lines_and_no_leading_dot():
    raw = make.filled(composed(make.week(note="….\n\n.dot\n\n" + "é" * 300)).compiled)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    long = [line for line in raw.split(b"\r\n") if len(line) > 76]
    assert all(line.startswith(b"List-Unsubscribe: <https://") for line in long)
    assert not any(line.startswith(b".") for line in raw.split(b"\r\n"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.text(max_size=90))
@example(name="." * 160)
@example(name="\r\n.\r\nBcc: x@example.org")
@example(name="Zoë O'Hara-Łukasiewicz & <Söhne>")
@example(name="=?utf-8?q?forged?=")
@example(name="   ")
@example(name="\x80\ud800")
def test_whatever_a_reader_is_called_the_message_stays_whole(name):
    from newsletter.editions.words import one_line

    issue = make.week(
        subject='é, {{ first_name | default("Reader") }}! And more',
        note="Dear {{ first_name | default('reader') }}, {{ first_name }}",
    )
    result = composed(issue)
    raw = make.filled(result.compiled, first_name=name)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    shown = one_line(name)
    assert str(message["Subject"]) == f"é, {shown or 'Reader'}! And more"
    assert f"Dear {shown or 'reader'}, {shown}".rstrip() in message.get_body(("plain",)).get_content()
    assert message["Bcc"] is None
    for line in raw.split(b"\r\n"):
        assert not line.startswith(b".")
        assert len(line) <= 76 or line.startswith(b"List-Unsubscribe: ")


def test_a_reader_cannot_write_html():
    result = composed(make.week(note="Dear {{ first_name }}"))
    html = read(result, first_name='<img src=x onerror="alert(1)">').get_body(("html",)).get_content()
    assert "Dear &lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in html


@pytest.mark.parametrize(
    "name",
    ["The Meridian Review", 'The "Weekly", Ltd.', "Zeitung für Außenpolitik", "شرق", "a\r\nBcc: b", "x" * 120, ""],
)
def test_the_senders_name_is_read_back(name):
    from newsletter.editions.words import one_line

    (sender,) = read(composed(from_name=name))["From"].addresses
    assert sender.addr_spec == "desk@meridian.example"
    assert sender.display_name.replace(" ", "") == one_line(name).replace(" ", "")


@pytest.mark.parametrize(
    "address", ["désk@meridian.example", "desk@meridian.example\r\nBcc: x", "a b@meridian.example"]
)
def test_an_address_that_cannot_send_is_refused(address):
    with pytest.raises(Invalid, match="cannot stand in a mail"):
        composed(from_address=address)


def test_a_server_with_letters_beyond_ascii_is_refused():
    with pytest.raises(Invalid, match="xn--"):
        compose(make.week(), make.publication(), "https://nouvelles.café.example")


def test_without_a_reply_address_there_is_no_such_header():
    assert read(composed(reply_to=""))["Reply-To"] is None


def test_slots_of_a_body_have_lines_of_their_own():
    result = composed()
    for before, slot, after in zip(
        result.compiled.literals, result.compiled.slots, result.compiled.literals[1:], strict=False
    ):
        if slot.place != "header":
            assert before.endswith(b"\r\n")
            assert after.startswith(b"=\r\n")


def test_the_compiled_message_survives_its_columns():
    compiled = composed().compiled
    assert Compiled.from_columns(*compiled.to_columns()) == compiled


def test_the_boundary_follows_from_the_content():
    def boundary(result):
        return read(result).get_boundary()

    assert boundary(composed()) == boundary(composed())
    assert boundary(composed()) != boundary(composed(make.week(note="Another")))
