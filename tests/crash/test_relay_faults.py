"""F10: a relay that refuses, hangs up, is late, or talks nonsense, at each command, in mid-send."""

import pytest
from crash.relay import OFFERS, Fault
from crash.trial import EAGER, through

from newsletter import delivery
from newsletter.delivery.transports.smtp import Timeouts
from newsletter.kit import smtpd
from newsletter.kit.smtpd import Answer

READERS = 300
HASTY = delivery.Options(
    patience=EAGER.patience, timeouts=Timeouts(connect=1, greeting=1, command=1, data=1, body=1), brake=10_000
)
LATER = ("421 4.3.2 Closing", "451 4.3.0 Try again", "452 4.2.2 Mailbox full for now")
NEVER = ("550 5.7.1 Not wanted", "552 5.3.4 Too big", "554 5.6.0 Rejected")
SILENT = {
    "hangs up without a word": Answer(drop=True),
    "says nothing that is a reply": Answer(raw=(b"what is this?\r\n",)),
    "breaks off in the middle of a line": Answer(raw=(b"25",), drop=True),
    "contradicts itself over two lines": Answer(raw=(b"250-Ok\r\n", b"550 No\r\n")),
    "never answers": Answer(delay=30, drop=True),
}


def send_again_and_again(send):
    """What workers' sweeps do, the pauses between attempts left out."""
    for _ in range(4):
        delivery.run(send.database, send.settings, options=HASTY)
        send.all_due()


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("answer", LATER)
@pytest.mark.parametrize("at", ["greeting", "mail", "rcpt", "data", "body"])
def test_later_means_later(trial, relay, at, answer, offers):
    relay.offers = OFFERS[offers]
    relay.faults = [Fault(at, answer, chance=0.5, times=20)]
    send = trial(60)
    send_again_and_again(send)
    assert relay.struck
    assert send.settled().accepted == 60


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("answer", NEVER)
@pytest.mark.parametrize("at", ["rcpt", "data", "body"])
def test_never_means_never_for_that_reader_alone(trial, relay, at, answer, offers):
    unwanted = frozenset(f"reader{n}@example.org" for n in (3, 20, 41))
    relay.offers = OFFERS[offers]
    relay.faults = [Fault(at, answer, only=unwanted)]
    send = trial(60)
    send_again_and_again(send)
    found = send.settled()
    assert (found.accepted, found.refused, relay.struck) == (57, 3, 3)
    assert not unwanted & set(relay.served)


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("how", SILENT)
@pytest.mark.parametrize("at", ["mail", "rcpt", "data", "body"])
def test_a_relay_that_does_not_say_what_became_of_a_message_leaves_it_uncertain_at_most(trial, relay, at, how, offers):
    relay.offers = OFFERS[offers]
    relay.faults = [Fault(at, SILENT[how], chance=0.5, times=4)]
    send = trial(60)
    send_again_and_again(send)
    assert relay.struck == 4
    found = send.settled()
    assert found.accepted + found.uncertain == 60
    if offers != "one write" and at != "body":
        assert found.uncertain == 0, "nothing of the message had left"


@pytest.mark.parametrize("how", SILENT)
def test_a_relay_that_does_not_greet_costs_nobody_anything(trial, relay, how):
    relay.faults = [Fault("greeting", SILENT[how], times=10)]
    send = trial(60)
    send_again_and_again(send)
    assert send.settled().accepted == 60


def test_a_late_reply_is_waited_for(trial, relay):
    relay.faults = [Fault("body", Answer("250 2.0.0 Ok", delay=2), times=3)]
    send = trial(60)
    delivery.run(send.database, send.settings, options=EAGER)
    found = send.settled()
    assert (found.accepted, relay.struck) == (60, 3)


def test_starttls_that_was_stripped_sends_nothing_and_loses_nobody(trial, relay, server):
    send = trial(60)
    send.settings, plain = through(send.settings, server.port, scheme="smtp+starttls"), send.settings
    summary = delivery.run(send.database, send.settings)
    assert "does not offer STARTTLS" in summary.problem
    assert relay.record == []
    send.settings = plain
    assert send.settled().accepted == 60


def test_one_relay_of_two_that_fails_leaves_its_share_to_the_other(trial, relay):
    broken = type(relay)(faults=[Fault("greeting", "421 4.3.2 Not today")])
    send = trial(READERS)
    with smtpd.Server(broken) as second:
        both = (*send.settings.smtp_url, f"smtp://127.0.0.1:{second.port}?connections=4")
        send.settings = send.settings.model_copy(update={"smtp_url": both})
        delivery.run(send.database, send.settings)
        assert send.settled().accepted == READERS
    assert broken.record == []


def test_everything_at_once_and_at_random(trial, relay):
    answers = [*LATER, *SILENT.values()]
    relay.faults = [
        Fault(at, answer, chance=0.01) for at in ("greeting", "mail", "rcpt", "data", "body") for answer in answers
    ]
    send = trial(150)
    for _ in range(8):
        delivery.run(send.database, send.settings, options=HASTY)
        send.all_due()
    relay.faults = []
    found = send.settled()
    assert found.accepted + found.uncertain == 150
