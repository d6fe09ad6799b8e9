import pytest

from newsletter.delivery.pace.faults import asks_to_slow, blames_sender
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Refused, Reply, Uncertain

OURS = [
    "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
    "550 5.7.25 The IP address sending this message does not have a PTR record setup.",
    "550 5.7.1 Our system has detected an unusual rate of unsolicited mail originating from your IP address.",
    "550 5.7.1 This message is suspicious due to the very low reputation of the sending domain.",
    "554 5.7.9 Message not accepted for policy reasons.",
    "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1",
    "554 [TSS09] All messages from 192.0.2.1 will be permanently deferred",
    "550 5.7.515 Access denied, sending domain example.org doesn't meet the required authentication level.",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Your network is on our block list (S3150).",
    "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using Spamhaus",
]
NOT_OURS = [
    "550 5.1.1 No such user",
    "550 5.7.1 This mailbox does not take mail from outside",
    "554 5.7.1 This looks like spam",
    "552 5.2.2 Mailbox full",
    "550 5.7.13 Mailbox disabled",
    "550 No such user",
]


def reply(line):
    code, text = line.split(" ", 1)
    return Reply(int(code), text)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("line", OURS)
def test_a_refusal_that_blames_the_sender_is_known(line, command):
    assert blames_sender(Refused(command, reply(line)))


@pytest.mark.parametrize("line", NOT_OURS)
def test_a_refusal_that_may_be_about_one_mailbox_is_the_readers(line):
    assert not blames_sender(Refused("RCPT", reply(line)))


def test_a_refusal_at_mail_is_the_relays_matter():
    assert not blames_sender(Refused("MAIL", reply(OURS[0])))


@pytest.mark.parametrize("line", ["421 Try again later", "421 4.3.2 Closing", "450 4.7.28 Too fast", "451 4.7.0 Later"])
def test_421_and_47x_ask_to_slow(line):
    assert asks_to_slow(Deferred("RCPT", reply(line)))


@pytest.mark.parametrize(
    "outcome",
    [
        Deferred("RCPT", Reply(451, "4.7.1 Greylisted, come back in 300 seconds")),
        Deferred("DATA", Reply(452, "4.3.1 Disk full")),
        Deferred("RCPT", Reply(450, "4.2.2 Mailbox busy")),
        Deferred(None, Reply(0, "the server closed the connection")),
        Refused("RCPT", Reply(550, "5.7.26 blocked")),
        Accepted(Reply(250, "2.0.0 Ok")),
        Uncertain("lost"),
    ],
)
def test_nothing_else_does(outcome):
    assert not asks_to_slow(outcome)
    assert not blames_sender(outcome) or isinstance(outcome, Refused)
