"""Whose fault a reply is: one line a case."""

from __future__ import annotations

import pytest

from newsletter.events.classify import Stage, classify
from newsletter.events.phrases import CLEAR, VAGUE

AT_RCPT = [
    ("550 5.1.1 <x@y.example>: Recipient address rejected: User unknown", "bad_mailbox"),
    ("550 No such user here", "bad_mailbox"),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", "bad_mailbox"),
    ("556 5.1.10 Domain does not accept mail (nullMX)", "bad_domain"),
    ("550 5.4.310 DNS domain readers.example does not exist", "bad_domain"),
    ("550 5.2.1 The email account that you tried to reach is disabled.", "disabled"),
    ("552 5.2.2 The email account that you tried to reach is over quota.", "mailbox_full"),
    ("554 delivery error: dd Sorry, the recipient's mailbox is full", "mailbox_full"),
    ("550 5.7.26 This mail is unauthenticated, neither DKIM nor SPF passed", "block_auth"),
    ("550 5.7.515 Access denied, sending domain does not meet the required authentication level", "block_auth"),
    ("550 5.7.25 The IP address sending this message does not have a PTR record", "block_auth"),
    ("530 5.7.0 Must issue a STARTTLS command first", "block_auth"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "block_reputation"),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "block_reputation"),
    ("554 5.7.1 <x@y.example>: Relay access denied", "block_reputation"),
    ("550 5.7.1 Message rejected due to local policy", "block_reputation"),
    ("550 5.7.1 Our system has detected that this message is likely spam", "content"),
    ("554 5.6.0 Message contains a virus", "content"),
    ("552 5.3.4 Message size exceeds fixed limit", "content"),
    ("421 4.7.0 Too many connections, try again later", "transient"),
    ("450 4.2.0 Greylisted, see you in 300 seconds", "transient"),
    ("550 5.1.1 RCP-P2 Refused due to recipient preferences", "refused"),
    ("550 Rejected", "refused"),
]


@pytest.mark.parametrize(("reply", "expected"), AT_RCPT)
def test_a_reply_at_rcpt_has_its_class(reply, expected):
    found = classify(reply, stage=Stage.RCPT)
    assert found.bounce_class.value == expected
    assert found.hard == (expected in ("bad_mailbox", "bad_domain"))


def test_an_unknown_user_after_data_is_a_filters_word():
    assert classify("550 Unknown user", stage=Stage.DATA).bounce_class.value == "refused"
    assert classify("550 5.1.1 Unknown user", stage=Stage.DATA).hard


def test_an_unknown_user_against_the_status_is_in_doubt():
    assert not classify("550 5.2.1 User unknown").hard
    assert not classify("550 5.7.1 User unknown").hard


def test_nothing_is_hard_while_the_mail_is_only_late():
    assert classify("550 5.1.1 User unknown", final=False).bounce_class.value == "transient"
    late = classify("Null MX", status="4.1.10", final=False)
    assert (late.bounce_class.value, late.hard) == ("bad_domain", False)


def test_the_senders_fault_wins_over_the_readers():
    said = "550 5.1.1 User unknown; your IP address 192.0.2.1 is listed at a blocklist"
    assert classify(said, stage=Stage.RCPT).bounce_class.value == "block_reputation"


def test_words_inside_addresses_and_links_say_nothing():
    said = "550 <mailbox-full@quota.example> https://postmaster.example/errors/spam-blocked rejected"
    assert classify(said).bounce_class.value == "refused"


def test_a_relays_summary_gives_way_to_what_it_quotes():
    assert not classify("5.1.0 - Unknown address error 550-'5.7.1 Access denied' (delivery attempts: 0)").hard


@pytest.mark.parametrize("reply", ["", " ", "5", "550", "550-", "0.0.0", "é" * 9000, "5.1.1" * 2000])
def test_any_text_has_a_class(reply):
    assert classify(reply).bounce_class.value


def test_every_phrase_can_be_found():
    from newsletter.events.classify import _holds, normal

    for _, phrases in (*CLEAR, *VAGUE):
        for phrase in phrases:
            assert _holds(f"{normal('it said:').rstrip()}{' '.join(phrase)} ", phrase), phrase
            for piece in phrase:
                assert normal(piece).rstrip() in (piece.rstrip(), f" {piece.strip()}"), piece
