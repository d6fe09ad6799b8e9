"""What a returned mail was found to say.

Promise: plain frozen values; ``Explanation.as_json`` is the document that
``newsletter bounce explain`` prints.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from newsletter.events.models import BounceClass

MAX_REPLY_SHOWN = 500


class Kind(enum.StrEnum):
    """What sort of message it is."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    NOT_A_REPORT = "not_a_report"


@dataclass(frozen=True, slots=True)
class Report:
    """What is said about one recipient.

    ``recipient`` is None where the message names nobody; ``status`` is an RFC 3463
    status; ``feedback`` the Feedback-Type of a complaint (RFC 5965), else empty.
    """

    recipient: str | None
    bounce_class: BounceClass
    hard: bool = False
    status: str | None = None
    reply: str | None = None
    feedback: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object under ``reports``."""
        return {
            "recipient": self.recipient,
            "bounce_class": self.bounce_class.value,
            "hard": self.hard,
            "status": self.status,
            "reply": self.reply,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """A message's kind and, per recipient, what it says."""

    kind: Kind
    reports: tuple[Report, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return ``{"kind", "reports"}`` with plain values."""
        return {"kind": self.kind.value, "reports": [report.as_json() for report in self.reports]}


def shown(reply: str) -> str | None:
    """Return a reply on one line, printable, short enough to store and show; None for an empty one."""
    line = " ".join(reply[: 4 * MAX_REPLY_SHOWN].split())[:MAX_REPLY_SHOWN]
    return "".join(c if c.isprintable() else " " for c in line) or None
