"""The table of what a bounce does to a reader, counted in issues."""

from __future__ import annotations

import datetime as dt

import pytest
from factories.events import dsn, sent, status
from factories.publications import publication

from newsletter.audience.models import SubscriptionStatus
from newsletter.delivery.models import DeliveryState
from newsletter.events import BounceClass, take
from newsletter.events.policy import POLICY, Past, Rule, consecutive, evidence, reached

ADA, BEN = "ada@readers.example", "ben@readers.example"
NOW = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
FULL = "552 5.2.2 mailbox full"
DISABLED = "550 5.2.1 account is disabled"
REFUSED = "550 something we do not like"


@pytest.fixture
def weekly(session):
    return publication(session)


@pytest.fixture
def bounced(session, settings, weekly):
    """An issue sent some days ago, which came back from Ada with this reply (None: did not come back)."""

    def issue(days_ago, reply):
        over = sent(session, weekly, (ADA, BEN), days_ago=days_ago)
        if reply:
            raw = dsn(reply=reply, status="5.0.0", ident=f"<{over.send_id}@mx>")
            take(session, settings, channel="lmtp", envelope_to=over.return_path(ADA), raw=raw)
        return status(session, over, ADA) is SubscriptionStatus.ACTIVE

    return issue


def test_a_disabled_mailbox_is_given_up_after_two_issues_in_a_row(bounced):
    assert bounced(7, DISABLED)
    assert not bounced(0, DISABLED)


def test_a_full_mailbox_needs_four_issues_and_four_weeks(bounced):
    assert [bounced(days, FULL) for days in (28, 21, 14, 7)] == [True] * 4  # four issues, three weeks
    assert not bounced(0, FULL)


def test_four_full_issues_within_a_week_are_not_enough(bounced):
    assert all(bounced(days, FULL) for days in (4, 3, 2, 1, 0))


def test_a_refusal_in_doubt_needs_four_issues(bounced):
    assert [bounced(days, REFUSED) for days in (21, 14, 7)] == [True] * 3
    assert not bounced(0, REFUSED)


def test_an_issue_that_arrived_begins_the_count_anew(bounced):
    assert bounced(28, DISABLED)
    assert bounced(14, None)
    assert bounced(0, DISABLED)
    assert not bounced(0, DISABLED)


def test_the_senders_fault_between_two_failures_neither_counts_nor_resets(bounced):
    assert bounced(21, DISABLED)
    assert bounced(14, "550 5.7.26 unauthenticated")
    assert not bounced(0, DISABLED)


def test_issues_of_another_publication_do_not_count(session, settings, bounced):
    assert bounced(7, DISABLED)
    other = sent(session, publication(session, "daily"), (ADA,))
    raw = dsn(reply=DISABLED, status="5.2.1")
    take(session, settings, channel="lmtp", envelope_to=other.return_path(ADA), raw=raw)
    assert status(session, other, ADA) is SubscriptionStatus.ACTIVE


def test_a_dead_address_is_given_up_everywhere(session, settings, weekly):
    first = sent(session, weekly, (ADA, BEN))
    other = sent(session, publication(session, "daily"), (ADA, BEN))
    raw = dsn(reply="550 5.1.1 No such user")
    take(session, settings, channel="lmtp", envelope_to=first.return_path(ADA), raw=raw)
    assert {status(session, over, ADA) for over in (first, other)} == {SubscriptionStatus.BOUNCED}
    assert {status(session, over, BEN) for over in (first, other)} == {SubscriptionStatus.ACTIVE}


def test_a_domain_that_takes_no_mail_is_given_up_at_once(bounced):
    assert not bounced(0, "556 5.1.10 nullMX: domain does not accept mail")


def test_a_domain_in_doubt_needs_two_issues(bounced):
    assert bounced(7, "450 4.1.10 nullMX, or so it seems today")
    assert not bounced(0, "450 4.1.10 nullMX, or so it seems today")


def past(days, bounce_class=None, state=DeliveryState.ACCEPTED):
    return Past(1000 - days, NOW - dt.timedelta(days=days), state, bounce_class)


def test_a_fresh_acceptance_may_still_bounce_and_does_not_reset():
    full = BounceClass.MAILBOX_FULL
    assert len(consecutive([past(0), past(7, full), past(14, full)], full, at=NOW)) == 2
    assert len(consecutive([past(8), past(14, full)], full, at=NOW)) == 0


def test_a_rule_counts_issues_and_days():
    rule = Rule(issues=2, days=10)
    assert not reached(rule, [past(0)])
    assert not reached(rule, [past(0), past(9)])
    assert reached(rule, [past(0), past(10)])


def test_no_class_of_the_senders_has_a_rule():
    ours = {BounceClass.BLOCK_AUTH, BounceClass.BLOCK_REPUTATION, BounceClass.CONTENT, BounceClass.TRANSIENT}
    assert not ours & set(POLICY)
    assert set(POLICY) == {
        BounceClass.BAD_MAILBOX,
        BounceClass.BAD_DOMAIN,
        BounceClass.DISABLED,
        BounceClass.MAILBOX_FULL,
        BounceClass.REFUSED,
    }


def test_evidence_is_one_sentence_for_every_class():
    from newsletter.events.models import EventKind
    from newsletter.events.policy import Failure

    for bounce_class in POLICY:
        failure = Failure(1, NOW, EventKind.BOUNCED, 1, 1, 1, bounce_class, hard=False, reply="550 no")
        said = evidence(failure, 3)
        assert said.endswith(".")
        assert "2026-11-20" in said
        assert "3rd issue in a row" in said
