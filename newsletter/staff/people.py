"""Who works here and what they may do.

Promise: there is always somebody who may administer; the last administrator can
be neither demoted nor deactivated. A change of role, of password or of standing
ends every session of that person (threat T14).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import Conflict, Invalid, Refused
from newsletter.kit import addresses, clock
from newsletter.staff import passwords
from newsletter.staff.models import Role, StaffMember
from newsletter.staff.queries import by_id
from newsletter.staff.sessions import end_all

_ORDER: Final = (Role.VIEWER, Role.WRITER, Role.EDITOR, Role.ADMIN)
MAX_NAME: Final = 120


def may(role: Role, needed: Role) -> bool:
    """Whether ``role`` includes ``needed``: an administrator is an editor is a writer is a viewer."""
    return _ORDER.index(role) >= _ORDER.index(needed)


def create(session: Session, *, email: str, role: Role | str, name: str = "") -> StaffMember:
    """Add a person without a password; give them a one-time link (``login_link``) to come in."""
    address = addresses.parse(email)
    if session.scalar(select(StaffMember.id).where(StaffMember.email == address.normal)) is not None:
        raise Conflict(f"{address.shown} is on the staff already.")
    shown = " ".join(name.split())
    if len(shown) > MAX_NAME or not shown.isprintable():
        raise Invalid(f"The name must be at most {MAX_NAME} printable characters.", field="name")
    member = StaffMember(email=address.normal, name=shown, role=_role(role), created_at=clock.now())
    session.add(member)
    session.flush()
    return member


def set_role(session: Session, staff_id: int, role: Role | str) -> StaffMember:
    """Give a person another role."""
    member, wanted = by_id(session, staff_id), _role(role)
    if member.role is not wanted:
        if member.role is Role.ADMIN:
            _refuse_last_admin(session, member)
        member.role = wanted
        end_all(session, staff_id)
        session.flush()
    return member


def set_active(session: Session, staff_id: int, *, active: bool) -> StaffMember:
    """Let a person in, or keep them out; what they did stays in the audit trail."""
    member = by_id(session, staff_id)
    if member.active is not active:
        if member.role is Role.ADMIN and not active:
            _refuse_last_admin(session, member)
        member.active = active
        end_all(session, staff_id)
        session.flush()
    return member


def set_password(session: Session, staff_id: int, password: str) -> StaffMember:
    """Set a person's password and end their sessions; ``Invalid`` if it could be guessed."""
    member = by_id(session, staff_id)
    member.password_hash = passwords.hashed(password, email=member.email)
    end_all(session, staff_id)
    session.flush()
    return member


def _role(text: Role | str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid(f"A role is one of {', '.join(Role)}, not “{text}”.", field="role") from None


def _refuse_last_admin(session: Session, member: StaffMember) -> None:
    others = select(func.count()).where(StaffMember.role == Role.ADMIN, StaffMember.active, StaffMember.id != member.id)
    if not session.scalar(others):
        raise Refused(f"{member.email} is the only administrator; make somebody else one first.")
