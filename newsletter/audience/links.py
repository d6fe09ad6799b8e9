"""The signed links that mails carry to their readers.

Promise: a token opens only as what it was made for, and its integers say the
whole of what it may act on: one subscription to confirm, one subscriber leaving
one publication, one subscriber's preferences. Forged, damaged and foreign tokens
raise ``BadToken``. Leaving and preferences never expire; a confirmation carries
its instant of expiry. Opening a token reads no database and changes nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from newsletter.kit.tokens import Sealer

CONFIRM: Final = "confirm"
LEAVE: Final = "leave"
PREFERENCES: Final = "preferences"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a link speaks for: one subscriber, as a reader of one publication, reached by one send (0: none)."""

    publication_id: int
    subscriber_id: int
    send_id: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmLink:
    """What a confirmation link names: one subscription, and until when."""

    subscription_id: int
    expires_at: dt.datetime


class Links:
    """Makes and opens the links of one installation. Tokens are ASCII [A-Za-z0-9_-]."""

    __slots__ = ("_base_url", "_confirm", "_leave", "_preferences")

    def __init__(self, base_url: str, secret: bytes) -> None:
        self._base_url = base_url.rstrip("/")
        self._confirm = Sealer(secret, CONFIRM)
        self._leave = Sealer(secret, LEAVE)
        self._preferences = Sealer(secret, PREFERENCES)

    def confirm_url(self, subscription_id: int, expires_at: dt.datetime) -> str:
        """Return the address of the page that confirms one subscription."""
        microseconds = (expires_at - _EPOCH) // dt.timedelta(microseconds=1)
        return f"{self._base_url}/confirm/{self._confirm.seal(subscription_id, microseconds)}"

    def leave_token(self, publication_id: int, subscriber_id: int, send_id: int = 0) -> str:
        """Return the token with which one subscriber leaves one publication."""
        return self._leave.seal(publication_id, subscriber_id, send_id)

    def leave_url(self, publication_id: int, subscriber_id: int, send_id: int = 0) -> str:
        """Return the address of the unsubscribe page, which is also the RFC 8058 target."""
        return f"{self._base_url}/u/{self.leave_token(publication_id, subscriber_id, send_id)}"

    def preferences_token(self, publication_id: int, subscriber_id: int, send_id: int = 0) -> str:
        """Return the token of one subscriber's preference page."""
        return self._preferences.seal(subscriber_id, publication_id, send_id)

    def preferences_url(self, publication_id: int, subscriber_id: int, send_id: int = 0) -> str:
        """Return the address of one subscriber's preference page."""
        return f"{self._base_url}/p/{self.preferences_token(publication_id, subscriber_id, send_id)}"

    def open_confirm(self, token: str) -> ConfirmLink:
        """Return what a confirmation token names; whether it has expired is for ``confirm`` to say."""
        subscription_id, microseconds = self._confirm.open(token, 2)
        return ConfirmLink(subscription_id, _EPOCH + dt.timedelta(microseconds=microseconds))

    def open_leave(self, token: str) -> Reader:
        """Return who leaves what."""
        publication_id, subscriber_id, send_id = self._leave.open(token, 3)
        return Reader(publication_id, subscriber_id, send_id)

    def open_preferences(self, token: str) -> Reader:
        """Return whose preferences the token opens, and from which publication it came."""
        subscriber_id, publication_id, send_id = self._preferences.open(token, 3)
        return Reader(publication_id, subscriber_id, send_id)
