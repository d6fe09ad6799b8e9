"""What the columns of an imported file mean, and what makes a row fit to be a reader.

Promise: a row becomes a ``Row`` that every column of the database takes, or is
``Invalid`` with one sentence. Our own export is understood whole: the status of
each reader, the day of joining, and guarded cells.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from newsletter.audience import fields
from newsletter.audience.formulas import unguard
from newsletter.audience.models import SubscriptionStatus
from newsletter.errors import Invalid
from newsletter.kit import addresses, clock

STATUS_COLUMN: Final = "subscription_status"
JOINED_COLUMN: Final = "subscribed_at"
MAX_COLUMNS: Final = 200

# How other programs spell the columns that we know, without case, blanks and punctuation.
_SPELLINGS: Final = {
    "email": "email",
    "emailaddress": "email",
    "mail": "email",
    "firstname": "first_name",
    "givenname": "first_name",
    "forename": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "familyname": "last_name",
    "subscriptionstatus": STATUS_COLUMN,
    "subscribedat": JOINED_COLUMN,
}


class Row(NamedTuple):
    """One reader of the file, in the order of the staging table's columns."""

    number: int
    email: str
    address: str
    address_hash: str
    first_name: str
    last_name: str
    attributes: str  # a JSON object
    status: str
    joined_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cell holds what: positions by field, attributes by name."""

    known: dict[str, int]
    attributes: dict[str, int]
    width: int


def layout(header: Sequence[str]) -> Layout:
    """Read the header row; ``Invalid`` if there is no column for the address, or two for the same thing."""
    if len(header) > MAX_COLUMNS:
        raise Invalid(f"The file has {len(header)} columns; {MAX_COLUMNS} is the limit.", field="file")
    known: dict[str, int] = {}
    attributes: dict[str, int] = {}
    for position, cell in enumerate(header):
        title = unguard(cell.strip())
        if not title:
            continue
        field = _SPELLINGS.get(re.sub(r"[\W_]+", "", title).lower())
        name, columns = (field, known) if field else (attribute_name(title), attributes)
        if name in columns:
            raise Invalid(f"Two columns of the file are both “{name}”; rename one.", field="file")
        if name:
            columns[name] = position
    if "email" not in known:
        raise Invalid("The first row must name the columns, and one of them must be “email”.", field="file")
    return Layout(known, attributes, len(header))


def attribute_name(title: str) -> str:
    """Return the name under which a column is kept, fit for a merge tag: ``favourite_city`` for “Favourite City”."""
    return re.sub(r"\W+", "_", title).strip("_").lower()[: fields.MAX_NAME]


def row(number: int, cells: list[str], columns: Layout, *, secret: bytes, confirmed: bool) -> Row:
    """Turn the cells of record ``number`` into a reader or raise ``Invalid``."""
    if len(cells) != columns.width:
        if any(cell.strip() for cell in cells[columns.width :]):
            raise Invalid(f"There are {len(cells)} cells; the first row names {columns.width}.")
        cells = cells + [""] * (columns.width - len(cells))
    known = columns.known
    address = addresses.parse(unguard(cells[known["email"]].strip()))
    first_name, last_name = (
        fields.line(unguard(cells[known[name]].strip()), name, fields.MAX_NAME) if name in known else ""
        for name in ("first_name", "last_name")
    )
    attributes = {
        name: value
        for name, position in columns.attributes.items()
        if (value := fields.line(unguard(cells[position].strip()), name, fields.MAX_ATTRIBUTE))
    }
    return Row(
        number,
        address.shown,
        address.normal,
        addresses.keyed_hash(secret, address.normal),
        first_name,
        last_name,
        json.dumps(attributes) if attributes else "{}",
        _status(cells[known[STATUS_COLUMN]] if STATUS_COLUMN in known else "", confirmed=confirmed),
        _joined_at(cells[known[JOINED_COLUMN]] if JOINED_COLUMN in known else ""),
    )


def _status(cell: str, *, confirmed: bool) -> str:
    """Return the status that the file states, but active only if the consent was vouched for."""
    text = cell.strip().lower() or SubscriptionStatus.ACTIVE
    try:
        status = SubscriptionStatus(text)
    except ValueError:
        statuses = ", ".join(SubscriptionStatus)
        raise Invalid(f"“{text[:40]}” is no {STATUS_COLUMN}; it is one of: {statuses}.") from None
    if status is SubscriptionStatus.ACTIVE and not confirmed:
        status = SubscriptionStatus.PENDING
    return status.value


def _joined_at(cell: str) -> dt.datetime | None:
    return clock.parse_instant(cell) if cell.strip() else None
