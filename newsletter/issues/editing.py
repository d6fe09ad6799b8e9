"""Opening an issue for a change, and changing its words.

Promise: every change of content locks the issue's row, raises its version and
takes back an approval in the same transaction; an issue that is being sent or
was sent is never changed. Two people who write the same words at the same time
never overwrite each other: the second gets ``Stale`` with what is stored. Two
people at different words do not disturb each other. Saving what is stored
already changes nothing and keeps the approval.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter import articles
from newsletter.errors import Conflict, Invalid, NotFound
from newsletter.issues.models import Issue, IssueState, Placement
from newsletter.issues.queries import get
from newsletter.issues.states import EDITABLE, refusal
from newsletter.issues.views import IssueView
from newsletter.kit import clock
from newsletter.publications import checks

LIMITS: Final = {"title": 200, "subject": 300, "preheader": 300, "headline": 500}
MAX_TEXT: Final = 20_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Stale(Conflict):
    """Somebody else saved the same words first; ``stored`` is the issue as it is now."""

    def __init__(self, message: str, stored: IssueView) -> None:
        super().__init__(message)
        self.stored = stored


def locked(session: Session, issue_id: int) -> Issue:
    """Return the issue's row, locked until the transaction ends, if its content may be changed at all."""
    issue = session.scalar(
        select(Issue).where(Issue.id == issue_id).with_for_update().execution_options(populate_existing=True)
    )
    if issue is None or issue.state not in EDITABLE:
        raise refusal(session, issue_id, "be changed any more")
    return issue


def mark_changed(session: Session, issue: Issue) -> None:
    """Note a change of content by a person on a locked row: version up, approval and schedule gone."""
    now = clock.now()
    issue.version += 1
    issue.state = IssueState.DRAFT
    issue.approved_by, issue.approved_at, issue.approved_hash = "", None, ""
    issue.touched_at = issue.touched_at or now
    issue.updated_at = now
    session.flush()


def edit(
    session: Session,
    issue_id: int,
    *,
    version: int,
    title: str | None = None,
    subject: str | None = None,
    preheader: str | None = None,
    note: str | None = None,
    date: dt.date | None = None,
) -> IssueView:
    """Change the issue's own words or the day it bears; ``version`` is the ``IssueView.version`` the person saw."""
    given = {"title": title, "subject": subject, "preheader": preheader}
    words = {name: checks.line(value, name, limit=LIMITS[name]) for name, value in given.items() if value is not None}
    if note is not None:
        words["note"] = _paragraphs(note, "note")
    if date is not None:
        words["date"] = date.isoformat()
    issue = locked(session, issue_id)
    changes = {name: value for name, value in words.items() if getattr(issue, name) != value}
    if changes:
        if version < issue.texts_version:
            message = f"Somebody else has changed No. {issue.number} since you opened it; compare before you save."
            raise Stale(message, get(session, issue_id))
        for name, value in changes.items():
            setattr(issue, name, value)
        mark_changed(session, issue)
        issue.texts_version = issue.version
        session.flush()
    return get(session, issue_id)


def edit_placement(
    session: Session,
    issue_id: int,
    placement_id: int,
    *,
    version: int,
    headline: str | None = None,
    dek: str | None = None,
    image_alt: str | None = None,
    show_image: bool | None = None,
) -> IssueView:
    """Change the words of one story for this issue only; an empty text goes back to the article's own.

    ``version`` is ``PlacementView.version`` as the person saw it.
    """
    issue = locked(session, issue_id)
    placement = placement_of(session, issue_id, placement_id)
    article = articles.view(session, [placement.article_id])[placement.article_id]
    words: dict[str, str | bool] = {}
    if headline is not None:
        words["headline"] = _own(checks.line(headline, "headline", limit=LIMITS["headline"]), article.headline)
    if dek is not None:
        words["dek"] = _own(_paragraphs(dek, "dek"), article.dek)
    if image_alt is not None:
        words["image_alt"] = _own(
            _paragraphs(image_alt, "image_alt"), article.image_alt if article.image_alt_ok else ""
        )
    if show_image is not None:
        words["show_image"] = show_image
    changes = {name: value for name, value in words.items() if getattr(placement, name) != value}
    if changes:
        if version < placement.version:
            message = "Somebody else has changed this story since you opened it; compare before you save."
            raise Stale(message, get(session, issue_id))
        for name, value in changes.items():
            setattr(placement, name, value)
        placement.version += 1
        mark_changed(session, issue)
    return get(session, issue_id)


def placement_of(session: Session, issue_id: int, placement_id: int) -> Placement:
    """Return a placement of this issue; one of another issue does not exist here."""
    placement = session.scalar(
        select(Placement)
        .where(Placement.id == placement_id, Placement.issue_id == issue_id)
        .execution_options(populate_existing=True)
    )
    if placement is None:
        raise NotFound("This story is no longer in the issue.")
    return placement


def _own(words: str, original: str) -> str:
    """Words that equal the article's are not an editor's: store none, so that corrections reach the issue."""
    return "" if words == original else words


def _paragraphs(text: str, field: str) -> str:
    value = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if len(value) > MAX_TEXT or _CONTROL.search(value):
        raise Invalid(f"The {field} must be plain text of at most {MAX_TEXT} characters.", field=field)
    return value
