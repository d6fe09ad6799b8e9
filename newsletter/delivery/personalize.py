"""An edition and one reader to the bytes of one message.

Promise: a pure function of the edition, the send and the recipient as frozen, so
that every attempt carries the same bytes. Only a reader's own data is encoded
here, in some twenty microseconds; whatever cannot stand in its place raises
``ValueError`` for this reader alone. Nothing is rendered: no template is within
reach of this module.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from newsletter.audience import Links
from newsletter.delivery.dkim import Signer
from newsletter.delivery.tracking import Marks
from newsletter.delivery.transports.channel import safe_path
from newsletter.editions import Compiled, Slot
from newsletter.editions.encoding import mailbox
from newsletter.editions.words import one_line

REMEMBERED: Final = 4096  # encoded values of one field


class Reader(NamedTuple):
    """One recipient of a send, as frozen. ``seq`` 0 is nobody in particular."""

    seq: int
    subscriber_id: int
    address: str
    first_name: str = ""
    last_name: str = ""
    attributes: Mapping[str, Any] = MappingProxyType({})
    tracking: bool = True

    def word(self, name: str) -> str:
        """Return what a merge tag names; an empty string for what is not known."""
        if name in ("first_name", "last_name"):
            return self.first_name if name == "first_name" else self.last_name
        value = self.attributes.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all messages of one send share. ``send_id`` 0 is a preview."""

    send_id: int
    publication_id: int
    slug: str
    sender: str  # the From address
    bounce_domain: str
    started_at: dt.datetime


class Mail(NamedTuple):
    """One message, ready for the wire."""

    mail_from: str
    rcpt_to: str
    message: bytes


class Personalizer:
    """Fills the slots of one edition for one send."""

    def __init__(
        self, compiled: Compiled, letterhead: Letterhead, links: Links, marks: Marks, signer: Signer | None
    ) -> None:
        self._head, self._links, self._marks, self._signer = letterhead, links, marks, signer
        self._domain = letterhead.sender.rpartition("@")[2]
        self._signed_at = int(letterhead.started_at.timestamp())
        # literal, hole, literal, ... and for each slot the places where its value goes
        self._parts: list[bytes] = [b""] * (2 * len(compiled.slots) + 1)
        self._parts[::2] = compiled.literals
        self._holes: dict[Slot, list[int]] = {}
        for n, slot in enumerate(compiled.slots):
            self._holes.setdefault(slot, []).append(2 * n + 1)
        self._fill_constants()
        self._fields = [(_Encoder(slot), places) for slot, places in self._holes.items() if slot.field]
        self._others = [(slot.name, places) for slot, places in self._holes.items() if not slot.field]

    def _fill_constants(self) -> None:
        """Fill the slots that are the same for every reader of the send, once."""
        constants = {
            "date": format_datetime(self._head.started_at),
            "feedback_id": f"{self._head.send_id}:{self._head.slug}:newsletter:{self._domain}",
        }
        for slot in [slot for slot in self._holes if slot.name in constants]:
            value = slot.encode(constants[slot.name])
            for place in self._holes.pop(slot):
                self._parts[place] = value

    def mail(self, reader: Reader) -> Mail:
        """Return one reader's message and envelope."""
        if not safe_path(reader.address):
            msg = "the address holds characters that may not stand in a message"
            raise ValueError(msg)
        head, links = self._head, self._links
        mail_from = self._marks.return_path(head.send_id, reader.seq, head.bounce_domain)
        key = (head.publication_id, reader.subscriber_id, head.send_id)
        values = {
            "to": mailbox(one_line(f"{reader.first_name} {reader.last_name}"), reader.address),
            "message_id": self._marks.message_id(head.send_id, reader.subscriber_id, self._domain).encode(),
            "bounce_address": mail_from.encode(),
            "leave_token": links.leave_token(*key).encode(),
            "preferences_token": links.preferences_token(*key).encode(),
            "track_token": self._marks.track_token(head.send_id, reader.seq if reader.tracking else 0).encode(),
        }
        parts = self._parts.copy()
        for name, places in self._others:
            _put(parts, places, values[name])
        for encoder, places in self._fields:
            _put(parts, places, encoder.of(reader.word(encoder.field)))
        message = b"".join(parts)
        if self._signer:
            message = self._signer.sign(message, at=self._signed_at)
        return Mail(mail_from, reader.address, message)


class _Encoder:
    """Encodes the values of one field for one place, and remembers them: names repeat."""

    __slots__ = ("_known", "_slot", "field")

    def __init__(self, slot: Slot) -> None:
        self.field = slot.field
        self._slot = slot
        self._known: dict[str, bytes] = {}

    def of(self, word: str) -> bytes:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[word] = self._slot.encode(word)
        return found


def _put(parts: list[bytes], places: Sequence[int], value: bytes) -> None:
    for place in places:
        parts[place] = value
