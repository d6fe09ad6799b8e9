"""Taking readers out as a CSV file that spreadsheets and our own import understand.

Promise: rows are streamed, so that a million readers cost no memory; no cell is
a formula (T4); importing the file into an empty publication gives the same
readers with the same status.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from newsletter.audience.formulas import guard
from newsletter.audience.importrows import JOINED_COLUMN, STATUS_COLUMN
from newsletter.audience.models import Subscriber, Subscription, SubscriptionStatus

AT_ONCE: Final = 2_000  # rows fetched from the database in one go


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One reader of a publication."""

    email: str
    first_name: str
    last_name: str
    status: SubscriptionStatus
    joined_at: dt.datetime
    attributes: dict[str, Any]


def export(session: Session, publication_id: int, *, status: SubscriptionStatus | None = None) -> Iterator[ExportRow]:
    """Yield a publication's readers, all or those of one status, by subscriber."""
    rows = select(
        Subscriber.email,
        Subscriber.first_name,
        Subscriber.last_name,
        Subscription.status,
        Subscription.created_at,
        Subscriber.attributes,
    )
    statement = _members(rows, publication_id, status).order_by(Subscriber.id)
    for row in session.execute(statement, execution_options={"yield_per": AT_ONCE}):
        yield ExportRow(*row)


def export_csv(session: Session, publication_id: int, *, status: SubscriptionStatus | None = None) -> Iterator[str]:
    """Yield the lines of a CSV file (UTF-8 when encoded, CRLF, RFC 4180), header first."""
    names = _attribute_names(session, publication_id, status)
    buffer = io.StringIO()
    writer = csv.writer(buffer)

    def line(cells: list[str]) -> str:
        writer.writerow([guard(cell) for cell in cells])
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text

    yield line(["email", "first_name", "last_name", STATUS_COLUMN, JOINED_COLUMN, *names])
    for row in export(session, publication_id, status=status):
        attributes = (_cell(row.attributes.get(name)) for name in names)
        yield line([row.email, row.first_name, row.last_name, row.status, row.joined_at.isoformat(), *attributes])


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _attribute_names(session: Session, publication_id: int, status: SubscriptionStatus | None) -> list[str]:
    """Return the names of all attributes that any of the readers has, sorted."""
    if session.get_bind().dialect.name == "postgresql":
        rows = select(func.jsonb_object_keys(Subscriber.attributes).label("name"))
    else:
        rows = select(
            func.json_each(Subscriber.attributes).table_valued("key", joins_implicitly=True).c.key.label("name")
        )
    names = _members(rows, publication_id, status).distinct()
    return sorted(session.scalars(names))


def _members(rows: Select[Any], publication_id: int, status: SubscriptionStatus | None) -> Select[Any]:
    """Narrow a selection from subscribers to one publication's, and to a status if one is given."""
    statement = (
        rows.select_from(Subscriber)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.publication_id == publication_id)
    )
    return statement if status is None else statement.where(Subscription.status == status)
