"""Signed-in browsers and one-time links.

Promise: keys are random, 256 bits, and only their SHA-256 is kept; a link works
once and for 24 hours; a session lasts 14 days after it was last kept alive.
Reading a session writes nothing, so that a GET changes no state: a door calls
``keep_alive`` where it writes anyway.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from newsletter.errors import BadToken
from newsletter.kit import clock
from newsletter.staff.models import LoginLink, StaffMember, StaffSession
from newsletter.staff.queries import by_id

SESSION_LASTS: Final = dt.timedelta(days=14)
LINK_LASTS: Final = dt.timedelta(hours=24)


def login_link(session: Session, staff_id: int, *, now: dt.datetime | None = None) -> str:
    """Return the key of a new one-time link; it is not stored and cannot be shown again."""
    by_id(session, staff_id)
    now, key = now or clock.now(), secrets.token_urlsafe(32)
    session.add(LoginLink(staff_id=staff_id, key_hash=_hash(key), created_at=now, expires_at=now + LINK_LASTS))
    session.flush()
    return key


def use_link(session: Session, key: str, *, now: dt.datetime | None = None) -> StaffMember:
    """Use up a one-time link and return whose it was, or raise ``BadToken``; then ``start`` a session."""
    now = now or clock.now()
    statement = (
        update(LoginLink)
        .where(LoginLink.key_hash == _hash(key), LoginLink.used_at.is_(None), LoginLink.expires_at > now)
        .values(used_at=now)
        .returning(LoginLink.staff_id)
    )
    staff_id = session.scalar(statement)
    member = session.get(StaffMember, staff_id) if staff_id is not None else None
    if member is None or not member.active:
        raise BadToken("This sign-in link was used already or is too old; ask an administrator for another.")
    return member


def start(session: Session, staff_id: int, *, now: dt.datetime | None = None) -> str:
    """Open a session and return its key, for a cookie. Sessions that ran out are cleared away."""
    now, key = now or clock.now(), secrets.token_urlsafe(32)
    session.execute(delete(StaffSession).where(StaffSession.expires_at <= now))
    session.add(StaffSession(staff_id=staff_id, key_hash=_hash(key), created_at=now, expires_at=now + SESSION_LASTS))
    session.flush()
    return key


def session_member(session: Session, key: str, *, now: dt.datetime | None = None) -> StaffMember | None:
    """Return who is signed in with this key, or None."""
    statement = (
        select(StaffMember)
        .join(StaffSession, StaffSession.staff_id == StaffMember.id)
        .where(StaffSession.key_hash == _hash(key), StaffSession.expires_at > (now or clock.now()), StaffMember.active)
    )
    return session.scalar(statement)


def keep_alive(session: Session, key: str, *, now: dt.datetime | None = None) -> None:
    """Let a living session last 14 days from now; one that has ended stays ended."""
    now = now or clock.now()
    session.execute(
        update(StaffSession)
        .where(StaffSession.key_hash == _hash(key), StaffSession.expires_at > now)
        .values(expires_at=now + SESSION_LASTS)
    )


def sign_out(session: Session, key: str) -> None:
    """End one session; doing it again does nothing."""
    session.execute(delete(StaffSession).where(StaffSession.key_hash == _hash(key)))


def end_all(session: Session, staff_id: int) -> None:
    """End every session of a person and void their unused links."""
    session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
    session.execute(delete(LoginLink).where(LoginLink.staff_id == staff_id, LoginLink.used_at.is_(None)))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
