import ssl

import pytest

from newsletter.delivery.transports.relays import Relay, Security, parse_all
from newsletter.errors import ConfigError


def test_each_scheme_has_its_port_and_security():
    assert Relay.parse("smtp://mx.example.org") == Relay(Security.PLAIN, "mx.example.org", 25)
    assert Relay.parse("smtp+starttls://mx.example.org").port == 587
    assert Relay.parse("smtps://mx.example.org").port == 465
    assert Relay.parse("smtp://[::1]:2525") == Relay(Security.PLAIN, "::1", 2525)


def test_user_and_password_may_hold_any_character_and_the_password_is_never_shown():
    relay = Relay.parse("smtps://ana%40example.org:p%2Fw%3A%20d@mx.example.org:1465")
    assert (relay.user, relay.password, relay.label) == ("ana@example.org", "p/w: d", "mx.example.org:1465")
    assert "p/w" not in repr(relay)


def test_options_are_read():
    relay = Relay.parse("smtp://h?connections=32&messages=20&verify=no&auth=xoauth2&name=out.example.org")
    assert (relay.connections, relay.messages, relay.verify, relay.xoauth2) == (32, 20, False, True)
    assert relay.hello == "out.example.org"
    assert relay.tls().verify_mode is ssl.CERT_NONE
    assert Relay.parse("smtps://h").tls().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "h:25",
        "smtp://",
        "smtp://h:many",
        "smtp://h?connections=0",
        "smtp://h?connections=few",
        "smtp://h?speed=9",
        "smtp://h?verify=maybe",
        "smtp://h?connections",
    ],
)
def test_a_wrong_address_names_the_setting_and_not_the_password(url):
    with pytest.raises(ConfigError, match="NEWSLETTER_SMTP_URL") as caught:
        Relay.parse(url.replace("://h", "://user:geheim@h"))
    assert "geheim" not in caught.value.message


def test_no_relay_at_all_says_what_to_set():
    with pytest.raises(ConfigError, match="NEWSLETTER_SMTP_URL: no mail relay is configured"):
        parse_all(())
