import datetime as dt
import email
import email.policy
import html
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from factories.editions import week
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import editions
from newsletter.audience import Links
from newsletter.delivery.dkim import Signer, SigningKey
from newsletter.delivery.personalize import Letterhead, Personalizer, Reader
from newsletter.delivery.tracking import Marks
from newsletter.delivery.transports.channel import safe_path
from newsletter.editions import Compiled, Slot
from newsletter.editions.words import one_line
from newsletter.publications.models import Publication

SECRET = b"a test key that is long enough to be accepted"
BASE = "https://news.example.org"
LINKS, MARKS = Links(BASE, SECRET), Marks(SECRET)
STARTED = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
HEAD = Letterhead(7, 3, "weekly", "desk@meridian.example", "bounces.meridian.example", STARTED)
PUBLICATION = Publication(
    id=3,
    slug="weekly",
    name="The Meridian Weekly",
    tagline="",
    from_name="The Meridian Review",
    from_address="desk@meridian.example",
    reply_to="",
    postal_address="12 Harbour Lane\nLisbon",
    timezone="Europe/Lisbon",
    language="en",
    direction="ltr",
    website="",
    theme="weekly",
    brand={},
    tracking=True,
)
NOTE = 'Dear {{ first_name | default("reader") }} {{ last_name | default("unknown") }}, good afternoon.'
COMPILED = editions.compose(
    week(note=NOTE, subject='{{ first_name | default("Reader") }}, your week'), PUBLICATION, BASE
).compiled
PERSONALIZER = Personalizer(COMPILED, HEAD, LINKS, MARKS, None)
ANA = Reader(5, 41, "ana@example.org", "Ana", "Lopes")

# Whatever an import, a form or an attacker may have put into a field.
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
HOSTILE = st.sampled_from(
    [
        "Ana\r\nBcc: evil@example.org",
        "..",
        ".\r\n.\r\n",
        "=?utf-8?q?x?=",
        "<script>",
        "a" * 400,
        "{{ x }}",
        "\0",
        "\u2028",
    ]
)
LOCAL = st.text("abcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-é", min_size=1, max_size=64)


def parsed(message):
    return email.message_from_bytes(message, policy=email.policy.default)


def test_a_reader_gets_what_is_theirs():
    mail = PERSONALIZER.mail(ANA)
    message = parsed(mail.message)
    assert mail.rcpt_to == "ana@example.org"
    assert mail.mail_from == MARKS.return_path(7, 5, "bounces.meridian.example")
    assert message["To"] == "Ana Lopes <ana@example.org>"
    assert message["Subject"] == "Ana, your week"
    assert message["Date"].datetime == STARTED
    assert message["Message-ID"] == f"<{MARKS.message_id(7, 41, 'meridian.example')}>"
    assert message["Feedback-ID"] == "7:weekly:newsletter:meridian.example"
    assert f"<{LINKS.leave_url(3, 41, 7)}>" in message["List-Unsubscribe"]
    assert f"<mailto:{mail.mail_from}?subject=unsubscribe>" in message["List-Unsubscribe"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for part in (message.get_body(("plain",)), message.get_body(("html",))):
        body = part.get_content()
        assert "Dear Ana Lopes" in body
        assert LINKS.leave_url(3, 41, 7) in body
        assert LINKS.preferences_url(3, 41, 7) in body
        assert f"{BASE}/c/{MARKS.track_token(7, 5)}/1" in body


def test_an_unknown_field_takes_the_editors_default():
    text = parsed(PERSONALIZER.mail(Reader(5, 41, "ana@example.org")).message)
    assert "Dear reader unknown" in text.get_body(("plain",)).get_content()
    assert text["Subject"] == "Reader, your week"
    assert text["To"] == "ana@example.org"


def test_a_slot_may_name_any_attribute_of_the_reader():
    compiled = Compiled(
        (b"", b"|", b"|", b"\r\n"), tuple(Slot("text", f"field:{name}") for name in ("city", "age", "x"))
    )
    reader = Reader(5, 41, "ana@example.org", attributes={"city": "Porto", "age": 41, "x": None})
    assert Personalizer(compiled, HEAD, LINKS, MARKS, None).mail(reader).message == b"Porto|41|\r\n"


def test_a_reader_without_tracking_carries_nobodys_mark():
    message = PERSONALIZER.mail(Reader(5, 41, "ana@example.org", tracking=False)).message
    found = re.findall(rf"{BASE}/[co]/([\w-]+)", parsed(message).get_body(("html",)).get_content())
    assert set(found) == {MARKS.track_token(7, 0)}


def test_every_attempt_has_the_same_bytes_and_every_reader_other_ones():
    again = Personalizer(COMPILED, HEAD, Links(BASE, SECRET), Marks(SECRET), None)
    assert again.mail(ANA) == PERSONALIZER.mail(ANA)
    assert PERSONALIZER.mail(Reader(6, 42, "ana@example.org")).message != PERSONALIZER.mail(ANA).message


@settings(max_examples=150, deadline=None)
@given(st.one_of(WORDS, HOSTILE), st.one_of(WORDS, HOSTILE), LOCAL)
def test_whatever_a_field_holds_the_message_stays_one_message(first, last, local):
    address = f"{local}@example.org"
    if not safe_path(address):
        return
    message = PERSONALIZER.mail(Reader(5, 41, address, first, last)).message

    lines = message.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert not any(line.startswith(b".") for line in lines)
    assert max(map(len, lines)) <= 998
    _, body = message.split(b"\r\n\r\n", 1)
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert body.isascii()

    read = parsed(message)
    fixed = ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-ID")
    assert all(len(read.get_all(name)) == 1 for name in fixed)
    assert read["Bcc"] is None
    assert not read.defects
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]
    if address.isascii():
        assert read["To"].addresses[0].addr_spec == address
    expected = f"Dear {one_line(first) or 'reader'} {one_line(last) or 'unknown'}, good"
    assert expected in " ".join(read.get_body(("plain",)).get_content().split("\n"))
    assert html.escape(expected) in read.get_body(("html",)).get_content()
    assert read["Subject"] == f"{one_line(first) or 'Reader'}, your week"


@pytest.mark.parametrize("address", ["ana@example.org\r\nBcc: x@y.z", "a b@example.org", "ana@exam\0ple.org", "<a@b>"])
def test_an_address_that_would_say_more_is_refused_for_this_reader(address):
    with pytest.raises(ValueError, match="address"):
        PERSONALIZER.mail(Reader(5, 41, address))


def test_with_a_key_every_message_is_signed():
    signer = Signer((SigningKey(Ed25519PrivateKey.generate(), "spring"),), "meridian.example")
    mail = Personalizer(COMPILED, HEAD, LINKS, MARKS, signer).mail(ANA)
    assert mail.message.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;")
    assert mail.message.endswith(PERSONALIZER.mail(ANA).message)
    assert b"t=%d;" % STARTED.timestamp() in mail.message
