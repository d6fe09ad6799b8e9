"""What can become of one message handed to a relay: four outcomes, and the reply behind each.

Promise: every attempt ends in exactly one of them. ``Uncertain`` is said whenever
the body may have reached the relay and no reply was read (RFC 1047); it is never
dressed up as an error to be tried again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Command: TypeAlias = Literal["MAIL", "RCPT", "DATA"]

_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")  # RFC 3463, RFC 2034
MAX_TEXT: Final = 480


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply: its code, and its lines joined by newlines, free of other control characters."""

    code: int
    text: str

    @property
    def enhanced(self) -> str:
        """The enhanced status such as ``5.1.1``, or an empty string."""
        found = _ENHANCED.match(self.text)
        return found[1] if found else ""

    @property
    def positive(self) -> bool:
        """Whether the relay agrees."""
        return 200 <= self.code < 400  # noqa: PLR2004 - RFC 5321 4.2.1

    @property
    def permanent(self) -> bool:
        """Whether asking again would get the same answer."""
        return self.code >= 500  # noqa: PLR2004 - RFC 5321 4.2.1

    def __str__(self) -> str:
        return f"{self.code or ''} {self.text}".replace("\n", " ").strip()[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 2xx after the body: the relay is responsible now (RFC 5321 6.1)."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not accepted, and worth another attempt; ``command`` is None when no reply decided it."""

    command: Command | None
    reply: Reply


@dataclass(frozen=True, slots=True)
class Refused:
    """A 5xx to ``command``."""

    command: Command
    reply: Reply


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The body may have gone and no reply was read; ``why`` says what happened instead."""

    why: str


Outcome: TypeAlias = Accepted | Deferred | Refused | Uncertain
