"""SELECTs of the staff room.

Promise: reads only. Somebody who does not exist is ``NotFound``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import NotFound
from newsletter.kit import addresses
from newsletter.kit.paging import PAGE, Page, cut
from newsletter.staff.models import AuditEntry, StaffMember


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit trail."""

    id: int
    at: dt.datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def count(session: Session) -> int:
    """Return how many people there are; none means that this is the first run."""
    return session.scalar(select(func.count()).select_from(StaffMember)) or 0


def listing(session: Session) -> list[StaffMember]:
    """Return everybody, by address."""
    return list(session.scalars(select(StaffMember).order_by(StaffMember.email)))


def by_id(session: Session, staff_id: int) -> StaffMember:
    """Return one person."""
    member = session.get(StaffMember, staff_id)
    if member is None:
        raise NotFound(f"There is nobody with the id {staff_id}.")
    return member


def by_email(session: Session, email: str) -> StaffMember:
    """Return the person with this address, however it is written."""
    address = addresses.parse(email)
    member = session.scalar(select(StaffMember).where(StaffMember.email == address.normal))
    if member is None:
        raise NotFound(f"Nobody signs in as {address.shown}; make them with: newsletter staff create.")
    return member


def audit_trail(
    session: Session, subject: str | None = None, after: int | None = None, limit: int = PAGE
) -> Page[AuditRow]:
    """Return the trail, newest first: of one subject such as ``issue:12``, or of everything."""
    statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if subject is not None:
        statement = statement.where(AuditEntry.subject == subject)
    if after is not None:
        statement = statement.where(AuditEntry.id < after)
    rows = [
        AuditRow(entry.id, entry.at, entry.actor, entry.action, entry.subject, entry.detail)
        for entry in session.scalars(statement)
    ]
    return cut(rows, limit, lambda row: row.id)
