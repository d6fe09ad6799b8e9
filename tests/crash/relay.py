"""A mail server that remembers every body it got and misbehaves on request.

Promise: a body is in ``record`` (and in the file, if one is given) before its reply
leaves, so that what the ledger says can be held against it whatever is killed.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.kit import smtpd

MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>\r\n]+>)", re.MULTILINE | re.IGNORECASE)
OFFERS = {"one write": None, "pipelined": ("PIPELINING",), "step by step": ()}
READY = {
    "greeting": "220 ready",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 Go ahead",
    "body": "250 2.0.0 Ok",
}


@dataclass
class Fault:
    """What is answered at ``at`` (greeting, mail, rcpt, data or body) instead of yes.

    At random with ``chance``, at most ``times`` times, only for the addresses in ``only`` if there are any.
    """

    at: str
    answer: smtpd.Reply
    chance: float = 1.0
    times: int = 1_000_000
    only: frozenset[str] = frozenset()

    def strikes(self, at: str, address: str, dice: random.Random) -> bool:
        if at != self.at or not self.times or (self.only and address not in self.only):
            return False
        if dice.random() >= self.chance:
            return False
        self.times -= 1
        return True


@dataclass(frozen=True)
class Body:
    """One whole body that arrived; ``verdict`` is accepted, rejected, or unanswered (the sender cannot know)."""

    address: str
    message_id: str
    verdict: str
    at: float  # time.time()


@dataclass
class Relay(smtpd.Handler):
    """The handler. ``broken`` counts the answers after which a sender cannot know what became of a message."""

    offers: tuple[str, ...] | None = None
    file: Path | None = None
    faults: list[Fault] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    record: list[Body] = field(default_factory=list)
    on_body: Callable[[int], None] = lambda _count: None
    pace: float = 0.0  # seconds before each reply to a body
    broken: int = 0
    struck: int = 0

    def __post_init__(self):
        self.changed = threading.Condition()
        self._file = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if self.file else -1

    def connect(self, session):
        return self._answer("greeting", "")

    def extensions(self, session):
        return super().extensions(session) if self.offers is None else self.offers

    def mail(self, session, address):
        return self._answer("mail", "")

    def rcpt(self, session, address):
        return self._answer("rcpt", address)

    def begin(self, session, envelope):
        return self._answer("data", envelope.rcpt_to[0])

    def data(self, session, envelope, message):
        (address,) = envelope.rcpt_to
        reply = self._answer("body", address)
        self._note(Body(address, MESSAGE_ID.search(message)[1].decode(), _verdict(reply), time.time()))
        self.on_body(len(self.record))
        if self.pace and isinstance(reply, str):
            return smtpd.Answer(reply, delay=self.pace)
        return reply

    def _answer(self, at, address):
        for fault in self.faults:
            if fault.strikes(at, address, self.dice):
                self.struck += 1
                # Where a body may leave with its envelope, any answer that is none leaves the sender in doubt.
                self.broken += at != "greeting" and _verdict(fault.answer) == "unanswered"
                return fault.answer
        return READY[at]

    def _note(self, body):
        if self._file >= 0:
            os.write(self._file, f"{body.at:.3f} {body.address} {body.message_id} {body.verdict}\n".encode())
        with self.changed:
            self.record.append(body)
            self.changed.notify_all()

    @property
    def served(self) -> Counter[str]:
        """How often each address got a body that this server did not reject."""
        return Counter(body.address for body in list(self.record) if body.verdict != "rejected")

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Until so many bodies have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.record) >= count, timeout=seconds), (
                f"{len(self.record)} bodies came, not {count}"
            )


def _verdict(reply: smtpd.Reply) -> str:
    text = reply if isinstance(reply, str) else "" if reply.raw else reply.text
    if text[:1] in ("2", "3"):
        return "accepted"
    return "rejected" if text else "unanswered"
