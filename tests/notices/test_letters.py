import datetime as dt
import email
import email.policy
import re

import pytest
from factories.publications import publication

from newsletter.kit import assets
from newsletter.notices.letters import Outgoing, Sender, message

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
BASE = "http://news.example.test"
KINDS = {
    "confirm": {"confirm_url": f"{BASE}/confirm/abc-DEF_123"},
    "already_subscribed": {"preferences_url": f"{BASE}/p/abc-DEF_123"},
    "welcome": {
        "latest_url": f"{BASE}/n/weekly/41",
        "preferences_url": f"{BASE}/p/abc-DEF_123",
        "leave_url": f"{BASE}/u/abc-DEF_123",
    },
    "staff_link": {"sign_in_url": f"{BASE}/sign-in/link/abc-DEF_123"},
    "alarm": {
        "headline": "Foreign Brief no. 41 was not sent",
        "sentence": "The hour passed & nobody approved <it>.",
        "studio_url": f"{BASE}/studio/sends/7",
    },
}


def _outgoing(kind, to="ana@example.org", **facts):
    return Outgoing(17, kind, to, KINDS[kind] | facts, AT)


@pytest.fixture
def sender(session, settings):
    return Sender.of(
        publication(session, "letters", name="Foreign Brief", sender="The Desk <desk@brief.example>"), settings
    )


def _parsed(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_every_kind_has_its_three_templates_and_a_test():
    folders = {path.name: path for path in (assets.templates() / "email" / "notices").iterdir() if path.is_dir()}
    assert set(folders) == set(KINDS)
    for folder in folders.values():
        assert {path.name for path in folder.iterdir()} == {"subject.txt", "body.html", "body.txt"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_is_a_small_whole_message_from_the_publication(sender, settings, kind):
    raw = message(_outgoing(kind), sender, settings)
    mail = _parsed(raw)
    assert len(raw) <= 15_000
    assert mail.defects == []
    assert (mail["From"], mail["To"]) == ("The Desk <desk@brief.example>", "ana@example.org")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == AT
    assert mail["Message-ID"].endswith("@brief.example>")
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert mail["Subject"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_address_stands_in_both_parts_and_a_button_leads_to_the_first(sender, settings, kind):
    mail = _parsed(message(_outgoing(kind), sender, settings))
    page, text = mail.get_body(("html",)).get_content(), mail.get_body(("plain",)).get_content()
    for name, value in KINDS[kind].items():
        if name.endswith("_url"):
            assert f'href="{value}"' in page
            assert value in text.split()
    (button,) = re.findall(r'<a class="button"[^>]*href="([^"]*)"', page)
    assert button in KINDS[kind].values()
    assert f">{button}</a>" in page  # for those whose mail program shows no button


@pytest.mark.parametrize("kind", ["confirm", "already_subscribed", "staff_link"])
def test_who_did_not_ask_is_told_to_ignore_it(sender, settings, kind):
    text = _parsed(message(_outgoing(kind), sender, settings)).get_body(("plain",)).get_content()
    assert "Ignore this mail" in text


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_fit_for_any_relay(session, settings, kind):
    made = publication(
        session,
        "arabic",
        name="الموجز " * 12,
        sender='"Zoë, „the“ Desk" <desk@brief.example>',
        direction="rtl",
        language="ar",
        tagline=".dot at the start",
    )
    raw = message(_outgoing(kind), Sender.of(made, settings), settings)
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert max(map(len, lines)) <= 78
    assert not any(line.startswith(b".") for line in lines)
    mail = _parsed(raw)
    assert mail["From"].addresses[0].display_name == "Zoë, „the“ Desk"
    assert 'dir="rtl"' in mail.get_body(("html",)).get_content()


def test_every_attempt_has_the_same_bytes_and_every_notice_its_own_id(sender, settings):
    first, second = (message(_outgoing("confirm"), sender, settings) for _ in range(2))
    assert first == second
    other = Outgoing(18, "confirm", "ana@example.org", KINDS["confirm"], AT)
    assert _parsed(message(other, sender, settings))["Message-ID"] != _parsed(first)["Message-ID"]


def test_facts_are_text_in_the_page_and_never_markup(sender, settings):
    mail = _parsed(message(_outgoing("alarm", headline="<b>1</b>\r\nBcc: x@example.org"), sender, settings))
    page = mail.get_body(("html",)).get_content()
    assert "&lt;b&gt;1&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "nobody approved &lt;it&gt;." in page
    assert mail["Subject"] == "<b>1</b> Bcc: x@example.org"
    assert mail["Bcc"] is None
    assert "nobody approved <it>." in mail.get_body(("plain",)).get_content()


def test_only_the_welcome_can_be_unsubscribed_from_and_by_one_click(sender, settings):
    for kind in KINDS:
        mail = _parsed(message(_outgoing(kind), sender, settings))
        if kind == "welcome":
            assert mail["List-Unsubscribe"] == f"<{BASE}/u/abc-DEF_123>"
            assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        else:
            assert mail["List-Unsubscribe"] is None


def test_a_welcome_before_the_first_issue_points_to_none(sender, settings):
    mail = _parsed(message(_outgoing("welcome", latest_url=""), sender, settings))
    assert "latest" not in mail.get_body(("html",)).get_content()
    assert "latest" not in mail.get_body(("plain",)).get_content()


def test_mail_to_the_staff_is_from_the_installation(settings):
    mail = _parsed(message(_outgoing("staff_link"), Sender.of(None, settings), settings))
    assert mail["From"] == "Newsletter studio <newsletter@news.example.test>"


def test_bounces_go_to_the_bounce_domain_if_there_is_one(session, settings):
    made = publication(session, "bounces", sender="desk@brief.example")
    assert Sender.of(made, settings).return_path == "desk@brief.example"
    elsewhere = settings.model_copy(update={"bounce_domain": "bounces.brief.example"})
    assert Sender.of(made, elsewhere).return_path == "notices@bounces.brief.example"


def test_an_international_address_is_written_as_it_is(sender, settings):
    raw = message(_outgoing("confirm", to="jörg@example.org"), sender, settings)
    assert "To: <jörg@example.org>\r\n".encode() in raw


def test_with_a_key_the_message_is_signed(sender, settings):
    import dkim
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    import base64

    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    signed = message(_outgoing("welcome"), sender, settings.model_copy(update={"dkim_key": pem}))
    assert dkim.verify(signed, dnsfunc=lambda name, **_: record if name.startswith(b"newsletter._domainkey.") else None)
    assert b"list-unsubscribe-post" in signed.split(b"\r\n\r\n")[0]
