"""What a form or a query carried, read with limits.

Promise: ``Fields`` gives text as it was typed (line ends made plain, no NUL,
which PostgreSQL cannot store), numbers and instants checked, each mistake an
``Invalid`` that names the field. It knows no room's words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from newsletter.errors import Invalid, NotFound
from newsletter.kit import clock

MAX_FIELDS: Final = 60
MAX_TEXT: Final = 100_000
ID: Final = 2**53  # the largest number that is ever compared with an id
INTEGER: Final = 2**31 - 1  # the largest that an Integer column can be compared with
MAX_DIGITS: Final = 15  # of a number in an address


class Fields(dict[str, str]):
    """The last value of each field, as typed."""

    def text(self, name: str, default: str = "") -> str:
        """Return a field's text without blanks around it."""
        return self.get(name, default).replace("\r\n", "\n").strip()

    def flag(self, name: str) -> bool:
        """Tell whether a check box was ticked or a button of this name pressed."""
        return bool(self.get(name))

    def whole(self, name: str, *, most: int = ID) -> int:
        """Return a whole number from 0 to ``most`` or raise ``Invalid``."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit()) or int(text[:20]) > most:
            raise Invalid(f"“{text[:40]}” is no whole number.", field=name)
        return int(text)

    def whole_or_none(self, name: str, *, most: int = ID) -> int | None:
        """Return a whole number, or None if the field is empty or missing."""
        return self.whole(name, most=most) if self.text(name) else None

    def instant(self, name: str, *, zone_name: str) -> dt.datetime:
        """Return the instant that a wall-clock time in ``zone_name`` stands for."""
        text = self.text(name)
        if not text:
            raise Invalid("Choose a day and a time.", field=name)
        return clock.parse_instant(text, zone_name=zone_name)


def checked(values: Mapping[str, str]) -> Fields:
    """Refuse what cannot be stored or is far too long."""
    for name, value in values.items():
        if "\0" in value:
            raise Invalid("A text holds a character that cannot be stored (NUL).", field=name)
        if len(value) > MAX_TEXT:
            raise Invalid(f"A text is longer than {MAX_TEXT:,} characters.", field=name)
    return Fields(values)


async def read_fields(request: Request) -> Fields:
    """Read the form of a POST; any other request has none. An address that no row can have is ``NotFound``."""
    for part in map(str, request.path_params.values()):
        if "\0" in part or (part.isdecimal() and len(part) > MAX_DIGITS):
            raise NotFound("There is no page at this address.")
    if request.method != "POST":
        return Fields()
    form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=4 * MAX_TEXT)
    return checked({name: value for name, value in form.items() if isinstance(value, str)})


def read_query(request: Request) -> Fields:
    """Read the query of an address."""
    return checked(dict(request.query_params))
