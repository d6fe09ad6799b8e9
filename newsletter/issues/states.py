"""Where an issue may go from where it stands: one table, one way to move.

Promise: ``transition`` moves an issue only along the table, by one conditional
UPDATE that tells whether it changed the row, so that of two callers who want the
same move one is refused. Content is not its business: approving and un-approving do
more than change the state and live in ``approval`` and ``editing``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.errors import NotFound, Refused
from newsletter.issues.models import Issue, IssueState
from newsletter.kit import clock

DRAFT, APPROVED, SCHEDULED = IssueState.DRAFT, IssueState.APPROVED, IssueState.SCHEDULED
SENDING, SENT, MISSED, CANCELLED = IssueState.SENDING, IssueState.SENT, IssueState.MISSED, IssueState.CANCELLED

ALLOWED: Final[Mapping[IssueState, frozenset[IssueState]]] = {
    DRAFT: frozenset({APPROVED, CANCELLED}),
    APPROVED: frozenset({DRAFT, SCHEDULED, SENDING, CANCELLED}),
    SCHEDULED: frozenset({DRAFT, APPROVED, SENDING, MISSED, CANCELLED}),
    MISSED: frozenset({DRAFT, APPROVED, SCHEDULED, SENDING, CANCELLED}),
    SENDING: frozenset({SENT}),  # readers have it: it can be stopped, but not be called off
    SENT: frozenset(),
    CANCELLED: frozenset(),
}
EDITABLE: Final = frozenset({DRAFT, APPROVED, SCHEDULED, MISSED})


def transition(session: Session, issue_id: int, to: IssueState) -> None:
    """Move an issue to ``to``; ``Refused`` names the state that does not allow it."""
    sources = [state for state, targets in ALLOWED.items() if to in targets]
    statement = (
        update(Issue)
        .where(Issue.id == issue_id, Issue.state.in_(sources))
        .values(state=to, updated_at=clock.now())
        .returning(Issue.id)
    )
    if session.scalar(statement) is None:
        raise refusal(session, issue_id, f"become {to}")


def refusal(session: Session, issue_id: int, wish: str) -> NotFound | Refused:
    """Say why an issue did not do what was asked: it does not exist, or its state forbids it."""
    found = session.execute(select(Issue.number, Issue.state).where(Issue.id == issue_id)).first()
    if found is None:
        return NotFound(f"There is no issue with the id {issue_id}.")
    return Refused(f"No. {found.number} is {found.state} and cannot {wish}.")
