"""The report of an issue, counted from the ledger and the events."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from factories.events import dsn, refuse, sent
from factories.issues import issue
from factories.publications import publication

from newsletter import audience, events
from newsletter.delivery.models import DeliveryState
from newsletter.errors import NotFound
from newsletter.events import BounceClass, EventKind, Verdict
from newsletter.events.record import Fact, append
from newsletter.kit import clock
from newsletter.reports import Provider, Reach, issue_report, publication_overview

ADA, BEN, CLEO = "ada@readers.example", "ben@readers.example", "cleo@elsewhere.example"


def hit(sent, kind, seq, verdict=Verdict.HUMAN, link=None):
    return Fact(kind, clock.now(), send_id=sent.send_id, seq=seq, verdict=verdict, link=link)


@pytest.fixture
def over(session):
    return sent(session)


def test_an_issue_that_was_not_sent_has_a_report_of_zeros(session):
    view = issue(session, publication(session))
    report = issue_report(session, view.id)
    assert (report.state, report.audience, report.send_ids, report.seconds) == ("draft", 0, (), None)
    assert set(report.states.values()) == {0}
    assert report.adds_up
    assert json.dumps(report.as_json())


def test_an_issue_that_does_not_exist_is_not_found(session):
    with pytest.raises(NotFound):
        issue_report(session, 4711)


def test_the_audience_is_the_sum_of_the_states(session, over):
    refuse(session, over.send_id, 2, "5.1.1 no")
    report = issue_report(session, over.issue_id)
    assert (report.audience, report.states[DeliveryState.ACCEPTED], report.states[DeliveryState.REFUSED]) == (3, 2, 1)
    assert set(report.states) == set(DeliveryState)
    assert report.adds_up
    assert (report.seconds, report.rate) == (10.0, 0.2)


def test_a_delivery_that_bounced_twice_counts_once_by_the_last_word(session, settings, over):
    for ident, reply, action in (("<a@x>", "450 4.2.0 later", "delayed"), ("<b@x>", "552 5.2.2 full", "failed")):
        raw = dsn(reply=reply, status="5.0.0", action=action, ident=ident)
        events.take(session, settings, channel="lmtp", envelope_to=over.return_path(ADA), raw=raw)
    report = issue_report(session, over.issue_id)
    assert report.bounces == {BounceClass.MAILBOX_FULL: 1}
    assert report.bounced == 1


def test_people_and_machines_are_counted_apart(session, over):
    append(
        session,
        [
            hit(over, EventKind.OPENED, 1),
            hit(over, EventKind.OPENED, 1),
            hit(over, EventKind.OPENED, 2, Verdict.PROXY),
            hit(over, EventKind.OPENED, 3, Verdict.PREFETCH),
            hit(over, EventKind.CLICKED, 1, link=1),
            hit(over, EventKind.CLICKED, 2, Verdict.SCANNER, link=1),
            hit(over, EventKind.CLICKED, 3, Verdict.PROXY, link=1),
        ],
    )
    report = issue_report(session, over.issue_id)
    assert report.opens == Reach(human=2, raw=3)
    assert report.clicks == Reach(human=1, raw=3)


def test_clicks_are_told_by_story_under_the_issues_headline(session, over):
    append(
        session,
        [
            hit(over, EventKind.CLICKED, 1, link=2),
            hit(over, EventKind.CLICKED, 1, link=2),
            hit(over, EventKind.CLICKED, 2, link=2),
            hit(over, EventKind.CLICKED, 3, Verdict.SCANNER, link=2),
            hit(over, EventKind.CLICKED, 1, link=9),
            hit(over, EventKind.CLICKED, None, link=9),
            hit(over, EventKind.CLICKED, 3, link=77),  # a link the edition does not have
        ],
    )
    first, second = issue_report(session, over.issue_id).stories
    assert first.headline.startswith("Story ")
    assert first.url.startswith("https://meridian.example/story-")
    assert (first.readers, first.readers_raw, first.clicks) == (2, 3, 3)
    assert (second.headline, second.article_id, second.readers, second.clicks) == ("Donate", None, 1, 2)


def test_leavers_count_for_the_issue_whose_link_they_used(session, over):
    reader = audience.Reader(over.publication_id, over.readers[ADA], over.send_id)
    for _ in range(2):
        events.unsubscribed(session, reader, via="page")
    events.unsubscribed(session, audience.Reader(over.publication_id, over.readers[BEN]), via="page")
    assert issue_report(session, over.issue_id).unsubscribes == 1


def test_mailbox_providers_are_told_by_domain(session, over):
    refuse(session, over.send_id, over.seq(CLEO), "5.1.1 no")
    assert issue_report(session, over.issue_id).providers == (
        Provider("readers.example", audience=2, accepted=2, refused=0),
        Provider("elsewhere.example", audience=1, accepted=0, refused=1),
    )


def test_the_document_is_flat_with_every_state_by_its_name(session, over):
    document = issue_report(session, over.issue_id).as_json()
    assert document["issue"] == over.issue_id
    assert document["sends"] == [over.send_id]
    assert {state.value for state in DeliveryState} <= set(document)
    assert dt.datetime.fromisoformat(document["started_at"]).tzinfo is not None
    assert json.dumps(document)


def test_an_overview_has_the_last_issues_newest_first(session, over):
    from newsletter.publications import by_id

    second = sent(session, by_id(session, over.publication_id), days_ago=0)
    append(session, [hit(second, EventKind.OPENED, 1)])
    overview = publication_overview(session, over.publication_id)
    assert [line.issue_id for line in overview.issues] == [second.issue_id, over.issue_id]
    assert [line.opens.human for line in overview.issues] == [1, 0]
    assert overview.readers.eligible == 3


def test_an_overview_of_a_publication_without_issues_is_empty(session):
    overview = publication_overview(session, publication(session).id)
    assert overview.issues == ()
    assert overview.readers.eligible == 0
