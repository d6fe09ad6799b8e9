"""SELECTs behind the reader pages.

Promise: reads only, and only what the public may see: issues that are being sent
or were sent. What does not exist is ``NotFound`` in words that name nothing else
that does.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from newsletter import publications
from newsletter.delivery.models import Send
from newsletter.editions import merge
from newsletter.errors import NotFound
from newsletter.issues.models import Issue, IssueState
from newsletter.kit.paging import Page, cut
from newsletter.publications.models import Publication

PUBLIC: Final = (IssueState.SENDING, IssueState.SENT)


@dataclass(frozen=True, slots=True)
class PastIssue:
    """One line of the archive. ``title`` is never empty."""

    id: int
    number: int
    date: dt.date
    title: str
    preheader: str
    sent_at: dt.datetime


def publication(session: Session, slug: str) -> Publication:
    """Return a publication without telling which others there are."""
    try:
        return publications.get(session, slug)
    except NotFound:
        raise NotFound("There is no newsletter at this address.") from None


def past_issues(session: Session, publication_id: int, *, after: int | None = None, limit: int = 20) -> Page[PastIssue]:
    """Return the issues that readers have got, newest first."""
    statement = _public(publication_id).order_by(Issue.number.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(Issue.number < after)
    rows = [_past(issue, sent_at) for issue, sent_at in session.execute(statement)]
    return cut(rows, limit, lambda row: row.number)


def past_issue(session: Session, publication_id: int, number: int) -> PastIssue:
    """Return one of them by its number."""
    row = session.execute(_public(publication_id).where(Issue.number == number)).one_or_none()
    if row is None:
        raise NotFound("There is no such issue.")
    return _past(*row)


def _public(publication_id: int) -> Select[Issue, dt.datetime | None]:
    began = select(func.min(Send.started_at)).where(Send.issue_id == Issue.id).scalar_subquery()
    return select(Issue, began).where(Issue.publication_id == publication_id, Issue.state.in_(PUBLIC))


def _past(issue: Issue, sent_at: dt.datetime | None) -> PastIssue:
    return PastIssue(
        id=issue.id,
        number=issue.number,
        date=dt.date.fromisoformat(issue.date),
        title=merge.without_tags(issue.subject, field="subject") or issue.title or f"No. {issue.number}",
        preheader=merge.without_tags(issue.preheader, field="preheader"),
        sent_at=sent_at or issue.updated_at,
    )
