import pytest

from newsletter.delivery import states
from newsletter.delivery.changes import (
    INTENT,
    RELEASE_CLAIM,
    RELEASE_INTENT,
    Change,
    Patience,
    of_outcome,
    skipped,
    unfit,
)
from newsletter.delivery.models import DeliveryState
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Refused, Reply, Uncertain

DAY = 86_400.0


def change(outcome, *, attempt=1, window_left=DAY):
    return of_outcome(outcome, attempt=attempt, relay="mx:25", window_left=window_left, patience=Patience())


def test_an_acceptance_keeps_the_reply_as_evidence():
    expected = Change(
        DeliveryState.ACCEPTED, DeliveryState.SENDING, code=250, reply="2.0.0 queued as X1", relay="mx:25"
    )
    assert change(Accepted(Reply(250, "2.0.0 queued as X1"))) == expected


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_5xx_is_final_and_keeps_its_command(command):
    found = change(Refused(command, Reply(550, "5.1.1 No such user\n5.1.1 really")))
    assert (found.to, found.command, found.code) == (DeliveryState.REFUSED, command, 550)
    assert found.reply == "5.1.1 No such user 5.1.1 really"


@pytest.mark.parametrize("code", [530, 550, 553])
def test_a_5xx_at_mail_is_about_the_sender_and_costs_no_reader_an_issue(code):
    found = change(Refused("MAIL", Reply(code, "5.7.0 Authentication required")))
    assert (found.to, found.command, found.code) == (DeliveryState.DEFERRED, "MAIL", code)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 530, 534, 535, 538])
def test_a_server_that_does_not_understand_us_costs_no_reader_an_issue(code):
    found = change(Refused("DATA", Reply(code, "5.5.1 what?")))
    assert (found.to, found.command, found.code) == (DeliveryState.DEFERRED, "DATA", code)


@pytest.mark.parametrize("code", [501, 533, 537, 539, 550])
def test_a_5xx_about_the_reader_is_final(code):
    assert change(Refused("RCPT", Reply(code, "5.1.1 no"))).to is DeliveryState.REFUSED


def test_an_intent_counts_an_attempt_and_one_given_back_uncounts_it():
    assert (INTENT.attempts, RELEASE_INTENT.attempts, RELEASE_CLAIM.attempts) == (1, -1, 0)
    assert change(Accepted(Reply(250, ""))).attempts == 0


def test_the_back_off_doubles_from_20_s_to_an_hour_with_a_fifth_of_jitter(monkeypatch):
    asked = []
    monkeypatch.setattr("random.uniform", lambda low, high: asked.append((low, high)) or 0.5)
    patience = Patience()
    assert [patience.delay(n) for n in (1, 2, 3, 8, 9, 40)] == [10, 20, 40, 1280, 1800, 1800]
    assert set(asked) == {(0.8, 1.2)}
    assert Patience(first=0.01, longest=1e6).delay(99) == 0.01 * 2**14  # what is doubled for ever would overflow


def test_a_lost_connection_is_tried_again_after_15_s_with_a_fifth_of_jitter(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: (low, high) == (0.8, 1.2) and 1.1)
    assert change(Deferred(None, Reply(0, "gone")), attempt=7).delay == pytest.approx(16.5)


def test_the_retry_window_includes_its_last_instant(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    later = Deferred("RCPT", Reply(451, "later"))
    assert change(later, attempt=5, window_left=320).to is DeliveryState.DEFERRED
    assert change(later, attempt=5, window_left=319).to is DeliveryState.REFUSED


def test_every_outcome_names_its_relay_and_its_command():
    for outcome in (
        Accepted(Reply(250, "")),
        Uncertain("lost"),
        Deferred("DATA", Reply(451, "")),
        Refused("RCPT", Reply(550, "")),
    ):
        assert change(outcome).relay == "mx:25"
    assert change(Deferred("DATA", Reply(451, "x"))).command == "DATA"
    assert change(Uncertain("lost")).expected is DeliveryState.SENDING


def test_what_expired_keeps_a_4xx_code():
    assert change(Deferred("RCPT", Reply(451, "busy")), attempt=5, window_left=-1).code == 451


def test_who_may_not_be_mailed_or_cannot_be_is_told_why():
    assert skipped("paused") == Change(DeliveryState.SKIPPED, DeliveryState.CLAIMED, reply="paused")
    assert unfit("bad") == Change(DeliveryState.REFUSED, DeliveryState.CLAIMED, reply="not rendered: bad")
    assert Change(DeliveryState.PENDING, DeliveryState.CLAIMED) == RELEASE_CLAIM


def test_a_4xx_is_tried_again_later_and_later():
    delays = [change(Deferred("RCPT", Reply(451, "later")), attempt=n).delay for n in range(1, 9)]
    assert 16 <= delays[0] <= 24
    assert all(0.8 * 20 * 2**n <= delay <= 1.2 * 20 * 2**n for n, delay in enumerate(delays[:6]))
    assert delays[-1] <= 1.2 * 3600


def test_a_connection_lost_before_the_body_is_tried_again_soon():
    found = change(Deferred(None, Reply(0, "the server closed the connection")))
    assert (found.to, found.code, found.command) == (DeliveryState.DEFERRED, None, None)
    assert found.delay < 20


def test_after_the_window_and_five_attempts_a_deferral_is_a_refusal_that_says_so():
    later = Deferred("RCPT", Reply(451, "4.2.2 Mailbox busy"))
    assert change(later, attempt=4, window_left=-1).to is DeliveryState.DEFERRED
    expired = change(later, attempt=5, window_left=-1)
    assert (expired.to, expired.command) == (DeliveryState.REFUSED, None)
    assert expired.reply == "expired after 5 attempts: 451 4.2.2 Mailbox busy"
    assert change(later, attempt=5, window_left=DAY).to is DeliveryState.DEFERRED


def test_a_senders_fault_that_expires_is_no_bounce():
    expired = change(Refused("MAIL", Reply(530, "5.7.0 Log in first")), attempt=5, window_left=-1)
    assert (expired.to, expired.code, expired.command) == (DeliveryState.REFUSED, None, None)
    assert expired.reply == "expired after 5 attempts: 530 5.7.0 Log in first"


def test_a_lost_reply_is_uncertain_and_never_due_again_by_itself():
    found = change(Uncertain("the server closed the connection"))
    assert (found.to, found.delay, found.reply) == (DeliveryState.UNCERTAIN, None, "the server closed the connection")


@pytest.mark.parametrize(
    "made",
    [
        INTENT,
        RELEASE_CLAIM,
        RELEASE_INTENT,
        skipped("unsubscribed"),
        unfit("bad address"),
        change(Accepted(Reply(250, ""))),
        change(Refused("RCPT", Reply(550, ""))),
        change(Deferred("DATA", Reply(451, ""))),
        change(Uncertain("lost")),
    ],
)
def test_every_change_is_in_the_table_of_transitions(made):
    assert made.to in states.DELIVERY[made.expected]
