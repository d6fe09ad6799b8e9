"""An edition and one reader to the bytes of one message.

Promise: a pure function of the edition, the send and the recipient as frozen, so
that every attempt carries the same bytes. Only a reader's own data is encoded
here, in some twenty microseconds; whatever cannot stand in its place raises
``ValueError`` for this reader alone. Nothing is rendered: no template is within
reach of this module.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from operator import itemgetter
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
        constants = {
            "date": format_datetime(letterhead.started_at),
            "feedback_id": f"{letterhead.send_id}:{letterhead.slug}:newsletter:{self._domain}",
        }
        slots = list(dict.fromkeys(slot for slot in compiled.slots if slot.name not in constants))
        self._fields = [(n, _Encoder(slot)) for n, slot in enumerate(slots) if slot.field]
        self._others = [(n, slot.name) for n, slot in enumerate(slots) if not slot.field]
        # First the values, one for each slot however often it occurs, then what stands between them; and the
        # order in which they make the message. With the nothing at the end there are always two to pick.
        self._pool = [*(b"" for _ in slots), compiled.literals[0]]
        order = [len(slots)]
        for slot, literal in zip(compiled.slots, compiled.literals[1:], strict=True):
            if slot.name in constants:
                self._pool[-1] += slot.encode(constants[slot.name]) + literal
            else:
                self._pool.append(literal)
                order += slots.index(slot), len(self._pool) - 1
        self._pool.append(b"")
        self._in_order = itemgetter(*order, len(self._pool) - 1)

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
        pool = self._pool.copy()
        for n, name in self._others:
            pool[n] = values[name]
        for n, encoder in self._fields:
            pool[n] = encoder.of(reader.word(encoder.field))
        message = b"".join(self._in_order(pool))
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
