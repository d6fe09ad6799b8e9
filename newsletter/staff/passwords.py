"""Hashing passwords and checking them.

Promise: argon2id at the cost OWASP's Password Storage Cheat Sheet sets as its
minimum (19 MiB, 2 passes, 1 lane): forty guesses at the same time must not cost
a small server its memory. A check takes the same time for a person without a
password and for nobody at all. It keeps no state.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.errors import Invalid

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 200  # beyond it hashing would be work that a stranger can order

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hashed(password: str, *, email: str) -> str:
    """Return the hash to store, or raise ``Invalid`` (field ``password``)."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", field="password")
    if len(set(password)) < 5 or password.casefold() in (email, email.partition("@")[0]):  # noqa: PLR2004 - "aaaa…"
        raise Invalid("This password is too easy to guess; use several words.", field="password")
    return _hasher.hash(password)


def matches(stored: str, password: str) -> bool:
    """Whether ``password`` is the one that was hashed; with nothing stored the answer is no, after the same work."""
    try:
        return _hasher.verify(stored or _nobodys(), password[: MAX_LENGTH + 1]) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _hasher.hash("the password of nobody")
