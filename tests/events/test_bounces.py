"""The reader of returned mail, on messages written here in the manner of many mail servers."""

from __future__ import annotations

import base64

import pytest
from factories.events import complaint, dsn, plain
from hypothesis import given
from hypothesis import strategies as st

from newsletter.events import BounceClass, Kind, explain

DAEMON = "Mail Delivery System <mailer-daemon@mx.meridian.example>"
POSTFIX = """\
This is the mail system at host mx.meridian.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

                   The mail system

<ada@readers.example>: host mx.readers.example[192.0.2.7] said: 550 5.1.1
    <ada@readers.example>: Recipient address rejected: User unknown in local
    recipient table (in reply to RCPT TO command)
"""
QMAIL = """\
Hi. This is the qmail-send program at mx.meridian.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@readers.example>:
Sorry, no mailbox here by that name. (#5.1.1)

<ben@readers.example>:
192.0.2.7 does not like recipient.
Remote host said: 552 5.2.2 ben's mailbox is full
Giving up on 192.0.2.7.

--- Below this line is a copy of the message.

Return-Path: <desk@meridian.example>
To: readers@meridian.example
Subject: The week

Write to editor@meridian.example.
"""
EXIM = """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  cleo@elsewhere.example
    host mx.elsewhere.example [192.0.2.9]
    SMTP error from remote mail server after RCPT TO:<cleo@elsewhere.example>:
    550 No such user here

------ This is a copy of the message's headers ------

From: desk@meridian.example
To: cleo@elsewhere.example
"""
EXCHANGE = """\
<html><head><style>p { color: red }</style></head><body>
<p><b>Delivery has failed to these recipients or groups:</b></p>
<p><a href="mailto:ada@readers.example">ada@readers.example</a><br>
The e-mail address you entered couldn't be found. Please check the address and try again.</p>
<p>Diagnostic information for administrators:</p>
<p>ada@readers.example<br>Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by
SMTP address lookup'</p></body></html>
"""
SENDMAIL = """\
The original message was received at Fri, 20 Nov 2026 15:00:00 GMT

   ----- The following addresses had permanent fatal errors -----
<ada@readers.example>
    (reason: 550 5.7.1 Message rejected, your IP address is listed at a blocklist)

   ----- Transcript of session follows -----
... while talking to mx.readers.example.:
>>> DATA
<<< 550 5.7.1 Message rejected, your IP address is listed at a blocklist
554 5.0.0 Service unavailable

   ----- Original message follows -----
Return-Path: <desk@meridian.example>
"""
GOOGLE = """\
** Address not found **

Your message wasn't delivered to ada@readers.example because the address couldn't be found, or is unable to
receive mail.

The response from the remote server was:
550 5.1.1 The email account that you tried to reach does not exist. https://support.google.com/mail/?p=NoSuchUser
"""
LATE = """\
This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue.

The address to which the message has not yet been delivered is:

  ada@readers.example
    Delay reason: 451 4.1.1 No such user, maybe

No action is required on your part. Delivery attempts will continue for some time.
"""
DOMINO = """\
Your message

  Subject: The week

was not delivered to:

  ada@readers.example

because:

  User Ada (ada@readers.example) not listed in Domino Directory
"""
RELAY = """\
This is a delivery failure notification indicating that an email you addressed to :
-- ada@readers.example
could not be delivered. The problem appears to be :
-- Recipient server refused
Additional information follows :
-- 5.7.1 [ada@readers.example]: mail from 192.0.2.1 blocked using a blocklist
"""
DIALECTS = {
    "domino": (plain("DELIVERY FAILURE: User Ada", DOMINO, sender="postmaster@readers.example"), "bad_mailbox", True),
    "relay": (plain("[Postmaster] Email Delivery Failure", RELAY, sender=DAEMON), "block_reputation", False),
    "postfix": (plain("Undelivered Mail Returned to Sender", POSTFIX, sender=DAEMON), "bad_mailbox", True),
    "exim": (plain("Mail delivery failed", EXIM, sender=DAEMON, Auto_Submitted="auto-replied"), "bad_mailbox", True),
    "exchange": (
        plain("Undeliverable: The week", EXCHANGE, sender="postmaster@x", Content_Type="text/html"),
        "bad_mailbox",
        True,
    ),
    "sendmail": (plain("Returned mail: see transcript", SENDMAIL, sender=DAEMON), "block_reputation", False),
    "google": (plain("Delivery Status Notification (Failure)", GOOGLE, sender=DAEMON), "bad_mailbox", True),
    "late": (plain("Warning: message delayed 24 hours", LATE, sender=DAEMON), "transient", False),
}


def only(raw: bytes):
    (report,) = explain(raw).reports
    return report


@pytest.mark.parametrize("name", DIALECTS)
def test_servers_that_know_no_standard_are_understood(name):
    raw, bounce_class, hard = DIALECTS[name]
    found = explain(raw)
    assert found.kind is Kind.BOUNCE
    report = only(raw)
    assert report.recipient == ("cleo@elsewhere.example" if name == "exim" else "ada@readers.example")
    assert (report.bounce_class, report.hard) == (BounceClass(bounce_class), hard)


def test_two_recipients_of_one_mail_are_judged_apart():
    found = explain(plain("failure notice", QMAIL, sender=DAEMON))
    assert {(r.recipient, r.bounce_class.value, r.hard) for r in found.reports} == {
        ("ada@readers.example", "bad_mailbox", True),
        ("ben@readers.example", "mailbox_full", False),
    }


def test_a_standard_notification_gives_the_documents_fields():
    found = explain(dsn())
    assert found.as_json() == {
        "kind": "bounce",
        "reports": [
            {
                "recipient": "ada@readers.example",
                "bounce_class": "bad_mailbox",
                "hard": True,
                "status": "5.1.1",
                "reply": "550 5.1.1 No such user here",
            }
        ],
    }


def test_a_late_notice_is_nobodys_fault():
    report = only(dsn(reply="451 4.1.1 user unknown at the moment", status="4.1.1", action="delayed"))
    assert (report.bounce_class, report.hard) == (BounceClass.TRANSIENT, False)


def test_a_delivery_receipt_is_no_bounce():
    assert explain(dsn(reply="250 2.1.5 Ok", status="2.1.5", action="delivered")).kind is Kind.DELIVERED


def test_a_group_without_a_recipient_takes_it_from_the_text():
    raw = dsn(text="<ben@readers.example>: mailbox full").replace(
        b"Final-Recipient: rfc822; ada@readers.example", b"Final-Recipient: rfc822; |/usr/bin/procmail"
    )
    assert only(raw).recipient == "ben@readers.example"


def test_broken_structure_still_shows_the_groups():
    whole = dsn().decode()
    lost_type = whole.replace("Content-Type: multipart/report;", "X-Was:")
    no_end = whole.replace("--=_cut--", "")
    no_parts = whole.replace("--=_cut", "- - -")
    for raw in (lost_type, no_end, no_parts):
        report = only(raw.encode())
        assert (report.recipient, report.bounce_class) == ("ada@readers.example", BounceClass.BAD_MAILBOX)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_line_ends_do_not_matter(end):
    assert explain(dsn().replace(b"\n", end)) == explain(dsn())


def test_encoded_text_is_read():
    body = base64.encodebytes(POSTFIX.encode()).decode()
    assert only(plain("Undelivered Mail", body, sender=DAEMON, Content_Transfer_Encoding="base64")).hard


def test_a_complaint_is_found_and_names_its_kind():
    report = only(complaint("Return-Path: <desk@meridian.example>"))
    assert (report.bounce_class, report.feedback, report.hard) == (BounceClass.COMPLAINT, "abuse", False)
    assert only(complaint("X: y", feedback="opt-out")).bounce_class is BounceClass.OPT_OUT


@pytest.mark.parametrize(
    "raw",
    [
        plain("Automatic reply: The week", "I am back on Monday.", Auto_Submitted="auto-replied"),
        plain("Out of office", "I am away."),
        plain("Re: The week", "I have changed jobs.", Precedence="auto_reply"),
        plain("=?utf-8?q?Abwesenheitsnotiz=3A_The_week?=", "Ich bin nicht im Haus."),
        plain("Please confirm your message", "Click to prove that you are human."),
    ],
)
def test_automatic_answers_are_no_bounces(raw):
    assert explain(raw).kind is Kind.AUTO_REPLY


def test_an_exim_bounce_that_calls_itself_an_auto_reply_is_a_bounce():
    assert explain(DIALECTS["exim"][0]).kind is Kind.BOUNCE


def test_a_person_who_writes_about_failing_mail_is_no_report():
    assert explain(plain("Re: The week", "Lovely issue. My ada2@readers.example is new.")).kind is Kind.NOT_A_REPORT
    assert explain(plain("Re: user unknown?", "I could not find it. ada@readers.example")).kind is Kind.NOT_A_REPORT


def test_a_notification_by_amazon_is_read():
    body = (
        '{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"ada@readers.example",'
        '"action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]}}'
    )
    report = only(plain("AWS Notification Message", body, x_amz_sns_message_id="1"))
    assert (report.recipient, report.hard) == ("ada@readers.example", True)
    assert explain(plain("AWS", '{"notificationType":"Bounce","bounce":[]', x_amz_sns_message_id="1")).reports == ()


def test_a_report_inside_a_forwarded_mail_is_found():
    inner = dsn().decode()
    head = "From: desk@meridian.example\nSubject: Fwd: this came\nContent-Type: multipart/mixed; boundary=o\n\n"
    raw = f"{head}--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    assert only(raw.encode()).recipient == "ada@readers.example"


def test_what_is_shown_holds_no_control_characters():
    report = only(dsn(reply="550 5.1.1 No\0 such\x1b user"))
    assert "\0" not in (report.reply or "")


@given(st.binary(max_size=3000))
def test_any_bytes_give_an_explanation(raw):
    assert explain(raw).kind in Kind


PIECES = st.sampled_from(
    [dsn(), complaint("X: y"), *(raw for raw, _, _ in DIALECTS.values()), plain("failure notice", QMAIL, sender=DAEMON)]
)
NOISE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"\n\n",
            b"\r",
            b"--=_cut",
            b"Final-Recipient: ",
            b"Content-Type: multipart/mixed; boundary=",
            b"@",
            b"<",
            b"=?utf-8?b?",
            b"\0",
        ]
    ),
)


@given(PIECES, st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 200), NOISE), max_size=12))
def test_damaged_reports_give_an_explanation(raw, damages):
    for place, length, noise in damages:
        at = place % (len(raw) + 1)
        raw = raw[:at] + noise + raw[at + length :]
    found = explain(raw)
    for report in found.reports:
        assert (report.reply or "").isprintable()  # storable: no NUL, no half of a surrogate pair
        assert not report.hard or report.bounce_class in (BounceClass.BAD_MAILBOX, BounceClass.BAD_DOMAIN)


SLOW = {
    "at signs": b"@" * 400_000,
    "brackets": b"<" * 400_000,
    "blanks after a word": b"RCPT" + b" " * 400_000,
    "rules": b"-\n" * 200_000,
    "style": b"<style" * 60_000,
    "codes": b"550 x@" * 60_000,
    "parts": b"--b\n\n" * 80_000,
    "fields": b"Final-Recipient: rfc822; a@b.example\nAction: failed\n\n" * 8_000,
    "unfolded": b"X: y\n " * 80_000,
}


@pytest.mark.parametrize("name", SLOW)
def test_no_message_is_slow(name):
    import time

    for kind in (b"text/plain", b"text/html", b"multipart/report; boundary=b", b"multipart/mixed; boundary=b"):
        head = b"From: <MAILER-DAEMON@x>\nSubject: failure notice\nContent-Type: " + kind + b"\n\n"
        begin = time.process_time()
        explain(head + SLOW[name])
        assert time.process_time() - begin < 2


def test_nested_parts_beyond_reason_are_left_alone():
    raw = b"From: x@y.example\nSubject: s\n"
    for level in range(200):
        raw += f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n".encode()
    assert explain(raw).kind is Kind.NOT_A_REPORT
