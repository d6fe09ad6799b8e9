"""How a publication is doing over its last issues.

Promise: a handful of statements for any number of issues; nothing is stored.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter import audience
from newsletter.delivery.models import Send
from newsletter.events import EventKind
from newsletter.issues.models import Issue
from newsletter.reports import queries
from newsletter.reports.rows import IssueLine, PublicationOverview, Reach

ISSUES: Final = 8
DAYS: Final = 90


def publication_overview(session: Session, publication_id: int, *, issues: int = ISSUES) -> PublicationOverview:
    """Return readers, growth over 90 days and the last issues that were sent or scheduled."""
    chosen = session.execute(
        select(Issue, Send)
        .join(Send, Send.issue_id == Issue.id)
        .where(Issue.publication_id == publication_id)
        .order_by(Issue.number.desc(), Send.id.desc())
        .limit(issues)
    )
    pairs = list(chosen)
    counts = queries.heard(session, [send.id for _, send in pairs])
    return PublicationOverview(
        publication_id=publication_id,
        readers=audience.counts(session, publication_id),
        growth=tuple(audience.growth(session, publication_id, days=DAYS)),
        issues=tuple(_line(issue, send, counts) for issue, send in pairs),
    )


def _line(issue: Issue, send: Send, counts: dict[tuple[int, EventKind], Reach]) -> IssueLine:
    def heard(kind: EventKind) -> Reach:
        return counts.get((send.id, kind), Reach())

    return IssueLine(
        issue_id=issue.id,
        number=issue.number,
        title=issue.title,
        date=issue.date,
        state=send.state.value,
        audience=send.audience,
        bounced=heard(EventKind.BOUNCED).raw,
        complaints=heard(EventKind.COMPLAINED).raw,
        unsubscribes=heard(EventKind.UNSUBSCRIBED).raw,
        opens=heard(EventKind.OPENED),
        clicks=heard(EventKind.CLICKED),
        finished_at=send.finished_at,
    )
