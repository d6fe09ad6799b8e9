"""What the server asks of its user: the replies to give, as plain values.

Promise: ``Handler``'s defaults accept everything and keep nothing, so that a
subclass overrides only what it cares about. No socket is touched here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may ask for. RFC 5321 4.5.3.1 sets the lower bounds."""

    message_bytes: int = 25 * 1024 * 1024
    line_bytes: int = 4096  # of a command; bodies have no limit of lines
    recipients: int = 1000
    errors: int = 20  # commands that make no sense, before the connection is closed
    idle_seconds: float = 300.0  # RFC 5321 4.5.3.2.7


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with a disturbance: late, followed by a hang-up, or raw bytes in place of a reply."""

    text: str = ""  # the reply line; empty: none
    delay: float = 0.0  # seconds before it is written
    drop: bool = False  # close the connection after it (with an empty text: without a word)
    raw: tuple[bytes, ...] = ()  # written as they are, one packet each, in place of ``text``

    @property
    def positive(self) -> bool:
        """Whether the client is told to go on."""
        return self.text[:1] in ("2", "3")


Reply: TypeAlias = str | Answer
Replies: TypeAlias = Reply | Sequence[Reply]


@dataclass(slots=True)
class Session:
    """One connection, as handlers see it. ``number`` counts the server's connections from 1."""

    number: int
    peer: str  # network address
    lmtp: bool
    hostname: str
    client: str = ""  # what it said in EHLO, HELO or LHLO
    messages: int = 0  # whole bodies received


@dataclass(slots=True)
class Envelope:
    """One mail transaction: the return path and the recipients that were accepted."""

    mail_from: str
    rcpt_to: list[str] = field(default_factory=list)


class Handler:
    """Decides the replies. The defaults accept everything and keep nothing."""

    keeps_body: bool = True  # False: bodies are counted, not gathered, and ``data`` gets b""

    def connect(self, session: Session) -> Reply:
        """Greet, or refuse with 554 or 421."""
        return f"220 {session.hostname} {'LMTP' if session.lmtp else 'ESMTP'}"

    def disconnect(self, session: Session) -> None:
        """Learn that the connection is gone."""

    def extensions(self, session: Session) -> Sequence[str]:  # noqa: ARG002 - for subclasses
        """Name what EHLO offers, beside SIZE."""
        return ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

    def mail(self, session: Session, address: str) -> Reply:  # noqa: ARG002 - for subclasses
        """Reply to MAIL; ``address`` is empty for the null return path of a bounce."""
        return "250 2.1.0 Ok"

    def rcpt(self, session: Session, address: str) -> Reply:  # noqa: ARG002 - for subclasses
        """Reply to one RCPT."""
        return "250 2.1.5 Ok"

    def begin(self, session: Session, envelope: Envelope) -> Reply:  # noqa: ARG002 - for subclasses
        """Reply to DATA. Before the first BDAT chunk it is asked too; there a 354 stays unsaid."""
        return "354 End data with <CR><LF>.<CR><LF>"

    def data(self, session: Session, envelope: Envelope, message: bytes) -> Replies | Awaitable[Replies]:  # noqa: ARG002 - for subclasses
        """Reply to the whole body; over LMTP one reply per accepted recipient, or one for all of them."""
        return "250 2.0.0 Ok"
