"""Writing the audit trail.

Promise: an entry is written in the caller's transaction, so that what happened
and the note of it are kept or lost together. Nothing changes or removes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.orm import Session

from newsletter.kit import clock
from newsletter.staff.models import AuditEntry, StaffMember

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def audit(
    session: Session,
    *,
    actor: StaffMember | str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] = _NOTHING,
) -> None:
    """Note that ``actor`` (a person, or words such as "command line") did ``action`` to ``subject`` ("issue:12")."""
    entry = AuditEntry(at=clock.now(), action=action, subject=subject, detail=dict(detail), actor=str(actor))
    if isinstance(actor, StaffMember):
        entry.staff_id, entry.actor = actor.id, actor.email
    session.add(entry)
