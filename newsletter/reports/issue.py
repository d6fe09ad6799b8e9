"""The report of one issue.

Promise: ``issue_report`` answers for an issue in any state, from the ledger and
the events as they are now; it stores nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.orm import Session

from newsletter import issues
from newsletter.delivery.models import Send
from newsletter.events import EventKind
from newsletter.issues import IssueView
from newsletter.kit import clock
from newsletter.reports import queries
from newsletter.reports.rows import IssueReport, Reach, StoryClicks

PROVIDERS: Final = 10


def issue_report(session: Session, issue_id: int) -> IssueReport:
    """Return the report of an issue, or raise ``NotFound``. An issue in several sends is reported as one."""
    issue = issues.get(session, issue_id)
    sends = queries.sends(session, [issue_id])
    ids = [send.id for send in sends]
    over = all(send.finished_at for send in sends)
    counts = queries.heard(session, ids)
    return IssueReport(
        issue_id=issue.id,
        publication_id=issue.publication_id,
        number=issue.number,
        title=issue.title,
        state=issue.state.value,
        send_ids=tuple(ids),
        audience=sum(send.audience for send in sends),
        states=queries.states(session, ids),
        bounces=queries.bounces(session, ids),
        complaints=_copies(counts, EventKind.COMPLAINED).raw,
        auto_replies=_copies(counts, EventKind.AUTORESPONDED).raw,
        unsubscribes=_copies(counts, EventKind.UNSUBSCRIBED).raw,
        opens=_copies(counts, EventKind.OPENED),
        clicks=_copies(counts, EventKind.CLICKED),
        stories=_stories(session, issue, ids),
        providers=tuple(queries.providers(session, ids, PROVIDERS)),
        started_at=min((send.started_at for send in sends if send.started_at), default=None),
        finished_at=max((send.finished_at for send in sends if send.finished_at and over), default=None),
        seconds=_seconds(sends),
    )


def _copies(counts: dict[tuple[int, EventKind], Reach], kind: EventKind) -> Reach:
    mine = [heard for (_, of), heard in counts.items() if of is kind]
    return Reach(sum(heard.human for heard in mine), sum(heard.raw for heard in mine))


def _seconds(sends: Sequence[Send]) -> float | None:
    """Return how long the sends ran together; one that runs still counts until now."""
    spans = [((send.finished_at or clock.now()) - send.started_at).total_seconds() for send in sends if send.started_at]
    return round(sum(spans), 3) if spans else None


def _stories(session: Session, issue: IssueView, send_ids: Sequence[int]) -> tuple[StoryClicks, ...]:
    """Return the clicks by story under the headline that the issue gave it."""
    placed = {placement.article_id: placement for placement in issue.placements}
    return tuple(
        replace(clicks, headline=placement.headline, url=placement.url)
        if clicks.article_id is not None and (placement := placed.get(clicks.article_id))
        else clicks
        for clicks in queries.clicks(session, send_ids)
    )
