"""Takes returned mail from a mail server over LMTP (RFC 2033).

Promise: 250 is said for a recipient only after its message is committed; when
the database does not answer it is 451 and the mail server keeps the mail. It
listens where it is told, on loopback by default: LMTP has no authentication.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from newsletter.config import Settings
from newsletter.db import Database
from newsletter.events import intake
from newsletter.kit import smtpd

log = logging.getLogger(__name__)

LIMITS = smtpd.Limits(message_bytes=10 * 1024 * 1024, recipients=50)


class BounceIntake(smtpd.Handler):
    """Gives each recipient's copy to ``intake`` in a transaction of its own."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    async def data(self, session: smtpd.Session, envelope: smtpd.Envelope, message: bytes) -> list[smtpd.Reply]:  # noqa: ARG002 - the handler's signature
        """Reply per recipient, after the commit."""
        return await asyncio.to_thread(self._take_all, envelope.rcpt_to, message)

    def _take_all(self, recipients: list[str], message: bytes) -> list[smtpd.Reply]:
        return [self._take(recipient, message) for recipient in recipients]

    def _take(self, recipient: str, message: bytes) -> str:
        try:
            with self.database.transaction() as session:
                taken = intake.take(session, self.settings, channel="lmtp", envelope_to=recipient, raw=message)
        except Exception:
            log.exception("a message for %s could not be kept", recipient)
            return "451 4.3.0 Not kept, try again later"
        return f"250 2.0.0 Kept as {taken.intake_id}: {taken.outcome}"


def serve_lmtp(
    database: Database,
    settings: Settings,
    host: str,
    port: int,
    stop: threading.Event,
    *,
    started: Callable[[int], None] | None = None,
) -> None:
    """Serve until ``stop`` is set. ``started`` is told the port, which matters for port 0."""
    with smtpd.Server(BounceIntake(database, settings), host=host, port=port, lmtp=True, limits=LIMITS) as server:
        log.info("taking returned mail by LMTP on %s:%s", host, server.port)
        if started:
            started(server.port)
        stop.wait()
