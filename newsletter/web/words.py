"""What the ledger's words mean, for people who meet them on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DELIVERY_STATES: Final[Mapping[str, str]] = {
    "pending": "waits for its turn",
    "claimed": "with a worker, nothing sent yet",
    "sending": "on the wire",
    "accepted": "the mail server took it",
    "deferred": "the mail server said later; it is tried again",
    "refused": "the mail server said no",
    "uncertain": "sent, but the answer was lost",
    "skipped": "left, paused or suppressed since the send began",
}
