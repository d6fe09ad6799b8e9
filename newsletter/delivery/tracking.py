"""The marks by which what comes back is known: track tokens, return paths, message ids.

Promise: each is a function of the secret and of ids that never change, so every
attempt at a delivery carries the same ones; the events room opens them with the
purposes named here. A reader who wants no tracking carries the mark of nobody
(``seq`` 0): the links work, and no click is anyone's.
"""

from __future__ import annotations

from typing import Final

from newsletter.kit.tokens import Mac, Sealer, derive

TRACK: Final = "track"  # purpose of a sealed (send_id, seq) in /c/ and /o/
BOUNCE: Final = "bounce"  # purpose of a sealed (send_id, seq) in the return path
RETURN_PREFIX: Final = "b+"


class Marks:
    """Makes the marks of one installation."""

    __slots__ = ("_bounce", "_message", "_track")

    def __init__(self, secret: bytes) -> None:
        self._track = Sealer(secret, TRACK)
        self._bounce = Sealer(secret, BOUNCE)
        self._message = Mac(derive(secret, "message-id"))

    def track_token(self, send_id: int, seq: int) -> str:
        """Return the token of tracked links and of the pixel."""
        return self._track.seal(send_id, seq)

    def return_path(self, send_id: int, seq: int, domain: str) -> str:
        """Return the envelope sender of one delivery; about 30 octets before the ``@`` (64 are allowed)."""
        return f"{RETURN_PREFIX}{self._bounce.seal_lower(send_id, seq)}@{domain}"

    def message_id(self, send_id: int, subscriber_id: int, domain: str) -> str:
        """Return the Message-ID, without angle brackets, of one person's copy of one send."""
        return f"{self._message.digest(b'%d/%d' % (send_id, subscriber_id))[:16].hex()}@{domain}"
