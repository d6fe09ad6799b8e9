"""Approving an issue and taking the approval back.

Promise: an approval pins the hash of the content that the approver saw. It is
given by one conditional UPDATE on the version that was hashed, so content that
changes in the same moment is never approved unseen. Whether the issue is fit to
be sent is judged by preflight (``editions``), when it is sent by ``delivery``.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from newsletter.errors import Invalid, Refused
from newsletter.issues.models import Issue, IssueState
from newsletter.issues.queries import get
from newsletter.issues.states import EDITABLE, refusal, transition
from newsletter.issues.views import IssueView, content_hash
from newsletter.kit import clock


def approve(session: Session, issue_id: int, *, by: str) -> IssueView:
    """Approve the issue as it stands, in the name of ``by``; approving the same content twice changes nothing.

    An approved or scheduled issue may be approved again after a source has corrected a
    story in it: that pins the new content and leaves the issue where it stands.
    """
    view = get(session, issue_id)
    if view.state not in EDITABLE:
        raise refusal(session, issue_id, "be approved")
    pinned = content_hash(view)
    standing = view.state in (IssueState.APPROVED, IssueState.SCHEDULED)
    if standing and view.approved_hash == pinned:
        return view
    if view.story_count == 0:
        raise Refused(f"No. {view.number} has no stories; place one before you approve it.")
    if not view.subject:
        raise Invalid(f"No. {view.number} has no subject line; write one before you approve it.", field="subject")
    now = clock.now()
    statement = (
        update(Issue)
        .where(Issue.id == issue_id, Issue.state == view.state, Issue.version == view.version)
        .values(
            state=view.state if standing else IssueState.APPROVED,
            approved_by=by,
            approved_at=now,
            approved_hash=pinned,
            updated_at=now,
        )
        .returning(Issue.id)
    )
    if session.scalar(statement) is None:
        raise Refused(f"No. {view.number} was changed in this moment; look at it again and approve it then.")
    return get(session, issue_id)


def unapprove(session: Session, issue_id: int) -> IssueView:
    """Take an approval back; a schedule falls with it."""
    if get(session, issue_id).state is not IssueState.DRAFT:
        transition(session, issue_id, IssueState.DRAFT)
        session.execute(
            update(Issue).where(Issue.id == issue_id).values(approved_by="", approved_at=None, approved_hash="")
        )
    return get(session, issue_id)
