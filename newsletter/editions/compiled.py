r"""A whole message with holes: literal bytes, and slots where a reader's data goes.

Promise: ``message = literals[0] + value[0] + literals[1] + ... + literals[-1]``
is one RFC 5322 message, headers included: CRLF, 7-bit, multipart/alternative
(text first), quoted-printable, no line over 76 octets except a header line that
one long address or URL fills, no line that starts with a dot. That holds for
whatever values, as long as each was made by ``Slot.encode``. Nothing here knows
a reader; delivery has the values.

Slots by place (the same name may occur many times; ``encode`` gives the same bytes each time):

- ``header``: ``to`` (one mailbox), ``date`` (RFC 5322 date), ``message_id`` (without
  angle brackets: the literal has them), ``leave_token``, ``bounce_address`` (bare, inside
  ``<mailto:...>``), ``feedback_id``; and ``field:<name>`` in Subject, on a folded line of its own.
- ``text`` and ``html``: ``leave_token``, ``preferences_token``, ``track_token`` and
  ``field:<name>``, each between soft line breaks on a line of its own.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from typing import Any, Final, Literal, cast

from newsletter.editions.encoding import FOLD, encoded_words, quoted_printable
from newsletter.editions.words import one_line

Place = Literal["header", "text", "html"]

LEAVE_TOKEN: Final = "leave_token"  # noqa: S105 - the name of a slot
PREFERENCES_TOKEN: Final = "preferences_token"  # noqa: S105 - likewise
TRACK_TOKEN: Final = "track_token"  # noqa: S105 - likewise
TOKENS: Final = frozenset({LEAVE_TOKEN, PREFERENCES_TOKEN, TRACK_TOKEN})
FIELD: Final = "field:"
HEADER_SLOTS: Final = frozenset({"to", "date", "message_id", LEAVE_TOKEN, "bounce_address", "feedback_id"})

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x1f\x7f]+(?:\r\n [^\x00-\x1f\x7f]+)*")


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in the message. ``default`` stands in when a field's value is empty."""

    place: Place
    name: str
    default: str = ""

    @property
    def field(self) -> str:
        """Name of the reader's field that belongs here, without the prefix; empty for other slots."""
        return self.name.removeprefix(FIELD) if self.name.startswith(FIELD) else ""

    def encode(self, value: str) -> bytes:
        """Return a value's bytes for this place; ``ValueError`` for what may not stand here.

        A field takes any text. A token takes ``A-Z a-z 0-9 - _``. Any other header
        slot takes a header value that is encoded and, if long, folded already.
        """
        if self.field:
            return self._encode_field(one_line(value) or self.default)
        allowed = _TOKEN if self.name in TOKENS else _HEADER_VALUE
        if not allowed.fullmatch(value):
            msg = f"{value!r} cannot stand in the slot {self.name}"
            raise ValueError(msg)
        return value.encode()

    def _encode_field(self, text: str) -> bytes:
        if self.place == "header":
            return FOLD.join(encoded_words(text))
        return quoted_printable(html.escape(text) if self.place == "html" else text)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The literals and the slots between them; there is always one literal more than slots."""

    literals: tuple[bytes, ...]
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        if len(self.literals) != len(self.slots) + 1:
            msg = f"{len(self.slots)} slots cannot stand between {len(self.literals)} literals"
            raise ValueError(msg)

    def join(self, values: Sequence[bytes]) -> bytes:
        """Return the message with each slot's encoded value, given in the order of ``slots``."""
        if len(values) != len(self.slots):
            msg = f"{len(self.slots)} slots need as many values, not {len(values)}"
            raise ValueError(msg)
        return b"".join(chain.from_iterable(zip_longest(self.literals, values, fillvalue=b"")))

    def digest(self) -> str:
        """Return SHA-256 over literals and slots, in hex."""
        literals, slots = self.to_columns()
        return hashlib.sha256(json.dumps(slots).encode() + b"\0" + literals).hexdigest()

    def to_columns(self) -> tuple[bytes, list[Any]]:
        """Return the literals end to end, and ``[offset, place, name, default]`` for each slot."""
        rows: list[Any] = []
        offset = 0
        for literal, slot in zip(self.literals, self.slots, strict=False):
            offset += len(literal)
            rows.append([offset, slot.place, slot.name, slot.default])
        return b"".join(self.literals), rows

    @classmethod
    def from_columns(cls, literals: bytes, slots: Sequence[Any]) -> Compiled:
        """Build it again from what ``to_columns`` gave."""
        cuts = [0, *(row[0] for row in slots), len(literals)]
        return cls(
            literals=tuple(literals[start:end] for start, end in pairwise(cuts)),
            slots=tuple(Slot(cast("Place", place), name, default) for _, place, name, default in slots),
        )
