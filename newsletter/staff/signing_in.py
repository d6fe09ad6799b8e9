"""Signing in with a password, and slowing down those who guess.

Promise: every attempt is written down before the password is looked at, so that
guesses made at the same time count too, and forgotten when it succeeds. The
answer to a wrong address, a wrong password and a person without one is the same
and takes the same time (threats T10, T12). It takes a ``Database``: a refusal
must be remembered, and hashing must not hold a lock.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from newsletter.db import Database
from newsletter.errors import Forbidden, Invalid
from newsletter.kit import addresses, clock
from newsletter.staff import passwords
from newsletter.staff.models import LoginAttempt, StaffMember
from newsletter.staff.sessions import start

WINDOW: Final = dt.timedelta(hours=1)
PER_ADDRESS: Final = 10  # wrong passwords in the window before the address must wait
PER_NETWORK: Final = 50  # likewise for a network, however many addresses it tries
WRONG: Final = "The address or the password is wrong."


def sign_in(
    database: Database, email: str, password: str, *, network: str, secret: bytes, now: dt.datetime | None = None
) -> str:
    """Return the key of a new session, or raise ``Forbidden``.

    ``network`` is where the request came from, as the door groups addresses (a /24,
    a /64). Attempts are kept under keyed hashes for an hour.
    """
    now = now or clock.now()
    normal = _normal(email)
    keys = (
        addresses.keyed_hash(secret, f"address {normal or email.strip().casefold()}"),
        addresses.keyed_hash(secret, f"network {network}"),
    )
    with database.transaction() as session:
        wait = _too_many(session, keys, now)
        if not wait:
            session.add_all(LoginAttempt(key=key, at=now) for key in keys)
        member = session.scalar(select(StaffMember).where(StaffMember.email == normal, StaffMember.active))
    if wait:
        raise Forbidden("Too many wrong passwords; wait an hour, or ask an administrator for a sign-in link.")
    if not passwords.matches(member.password_hash if member else "", password) or member is None:
        raise Forbidden(WRONG)
    with database.transaction() as session:
        session.execute(delete(LoginAttempt).where(LoginAttempt.key == keys[0]))
        session.execute(delete(LoginAttempt).where(LoginAttempt.key == keys[1], LoginAttempt.at == now))
        return start(session, member.id, now=now)


def _normal(email: str) -> str:
    try:
        return addresses.parse(email).normal
    except Invalid:
        return ""  # nobody's address: goes on like a wrong one


def _too_many(session: Session, keys: tuple[str, str], now: dt.datetime) -> bool:
    session.execute(delete(LoginAttempt).where(LoginAttempt.at <= now - WINDOW))
    counts = [
        session.scalar(select(func.count()).where(LoginAttempt.key == key, LoginAttempt.at > now - WINDOW)) or 0
        for key in keys
    ]
    return counts[0] >= PER_ADDRESS or counts[1] >= PER_NETWORK
