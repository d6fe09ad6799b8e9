"""The memory of the local inbox: every envelope, and as many whole messages as it can afford.

Promise: memory is bounded whatever arrives. The last ``MAX_ENVELOPES`` envelopes
are kept; of messages, those that anyone might look for (notices, mail to
addresses outside the ``crowd``, reports) up to ``MAX_NOTICES``, and of each issue
the first ``SAMPLE``. What was not kept is said to be not kept. It belongs to one
event loop and takes no lock; nothing is written to disk.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from functools import lru_cache
from typing import Final

from newsletter.kit import clock

MAX_ENVELOPES: Final = 120_000
MAX_NOTICES: Final = 2_000
MAX_RUNS: Final = 20  # issues of which samples are kept
SAMPLE: Final = 200  # whole messages per issue
MAX_SUBJECT: Final = 300


class Fate(enum.StrEnum):
    """What became of one attempt to deliver, or of one report that went back."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # 5xx
    DEFERRED = "deferred"  # 4xx: come again
    RETURNED = "returned"  # a report sent back later: bounce, complaint or automatic answer


@dataclass(frozen=True, slots=True)
class Mail:
    """One envelope. ``subject`` is empty and ``size`` is 0 where no message was handed over."""

    number: int
    at: dt.datetime
    fate: Fate
    mail_from: str
    rcpt_to: str
    reply: str
    subject: str = ""
    size: int = 0


class Box:
    """All envelopes and some messages."""

    def __init__(self, crowd: Collection[str] = (), *, max_envelopes: int = MAX_ENVELOPES) -> None:
        self.crowd = frozenset(crowd)
        self.counts: Counter[Fate] = Counter()
        self._max = max_envelopes
        self._mails: list[Mail] = []
        self._forgotten = 0  # how many of the oldest envelopes were dropped
        self._notices: OrderedDict[int, bytes] = OrderedDict()
        self._samples: OrderedDict[str, dict[int, bytes]] = OrderedDict()

    def add(self, fate: Fate, *, mail_from: str, rcpt_to: str, reply: str, message: bytes = b"") -> Mail:
        """Remember an envelope and, where the rules above say so, its message."""
        number = self._forgotten + len(self._mails) + 1
        subject = subject_of(message) if message else ""
        mail = Mail(number, clock.now(), fate, mail_from, rcpt_to, reply, subject, len(message))
        self._mails.append(mail)
        self.counts[fate] += 1
        if message:
            self._keep(mail, message)
        if len(self._mails) > self._max:
            dropped = max(1, self._max // 10)
            del self._mails[:dropped]
            self._forgotten += dropped
        return mail

    def get(self, number: int) -> Mail | None:
        """Return an envelope by its number."""
        index = number - self._forgotten - 1
        return self._mails[index] if 0 <= index < len(self._mails) else None

    def message(self, number: int) -> bytes | None:
        """Return a whole message, or None if it was not kept."""
        samples = (sample[number] for sample in self._samples.values() if number in sample)
        return self._notices.get(number) or next(samples, None)

    def newest(self, *, before: int | None, text: str = "", fate: Fate | None = None) -> Iterator[Mail]:
        """Yield envelopes, newest first, below the number ``before``; ``text`` is looked for in address and subject."""
        wanted = text.casefold()
        start = len(self._mails) if before is None else before - self._forgotten - 1
        for index in range(min(start, len(self._mails)) - 1, -1, -1):
            mail = self._mails[index]
            if fate not in (None, mail.fate):
                continue
            if not wanted or wanted in mail.rcpt_to.casefold() or wanted in mail.subject.casefold():
                yield mail

    @property
    def latest_at(self) -> dt.datetime | None:
        """When the last envelope came."""
        return self._mails[-1].at if self._mails else None

    @property
    def kept(self) -> int:
        """How many messages are kept whole."""
        return len(self._notices) + sum(map(len, self._samples.values()))

    def _keep(self, mail: Mail, message: bytes) -> None:
        if mail.fate is not Fate.ACCEPTED or mail.rcpt_to.casefold() not in self.crowd or not _is_bulk(message):
            self._notices[mail.number] = message
            if len(self._notices) > MAX_NOTICES:
                self._notices.popitem(last=False)
            return
        sample = self._samples.setdefault(mail.subject, {})
        if len(sample) < SAMPLE:
            sample[mail.number] = message
        if len(self._samples) > MAX_RUNS:
            self._samples.popitem(last=False)


def subject_of(message: bytes) -> str:
    """Return the decoded subject of a message, empty if it has none."""
    head, _, _ = message.partition(b"\r\n\r\n")
    lines = iter(head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n"))
    raw = next((line[8:] for line in lines if line[:8].lower() == b"subject:"), b"")
    return _decoded(raw[: MAX_SUBJECT * 4])


@lru_cache(maxsize=256)
def _decoded(raw: bytes) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    try:
        return str(make_header(decode_header(text)))[:MAX_SUBJECT]
    except (LookupError, ValueError):  # an encoding nobody knows
        return text[:MAX_SUBJECT]


def _is_bulk(message: bytes) -> bool:
    return b"\r\nlist-id:" in message[: message.find(b"\r\n\r\n")].lower()
