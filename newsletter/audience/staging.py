"""An imported file on its way into the store: a temporary table and set-based SQL.

Promise: rows are judged and written by statements over thousands of rows at
once. What a reader decided (left, complained) and what is suppressed is looked
at again in the very transaction that writes, so that nobody who leaves during an
import comes back by it. Judging alone writes nothing that lasts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from newsletter.audience.eligibility import is_suppressed
from newsletter.audience.importrows import Row
from newsletter.audience.models import (
    Consent,
    ConsentKind,
    StatusChange,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.db import Json, UtcDateTime

# Verdicts: what becomes of a row.
ADDED: Final = "added"  # to the publication; the person may be known from another
ACTIVATED: Final = "activated"  # was pending
UPDATED: Final = "updated"
UNCHANGED: Final = "unchanged"
KEPT_OUT: Final = "kept_out"  # left, bounced, complained or suppressed

ACTIVE, PENDING = SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING
STOPPED: Final = (SubscriptionStatus.UNSUBSCRIBED, SubscriptionStatus.BOUNCED, SubscriptionStatus.COMPLAINED)
SOURCE: Final = "import"

staged = Table(
    "staged_readers",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("email", Text),
    Column("address", Text),
    Column("address_hash", String(32)),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("attributes", Json),
    Column("status", Text),
    Column("joined_at", UtcDateTime),
    Column("verdict", Text),
    Index("ix_staged_readers_address", "address", "number"),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What an import is for: the same for every row of it."""

    publication_id: int
    confirmed: bool
    consent_source: str
    at: dt.datetime


class merged(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function it stands for
    """The first JSON object with the second's members added, or put in place of its own."""

    type = Json
    inherit_cache = True


class adds_to(FunctionElement[bool]):  # noqa: N801 - likewise
    """Whether ``merged`` of the same two objects differs from the first."""

    type = Boolean()
    inherit_cache = True


@compiles(merged)
def _merged(element: merged, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    old, new = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({old} || {new})"


@compiles(merged, "sqlite")
def _merged_sqlite(element: merged, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"json_patch({compiler.process(element.clauses, **kw)})"


@compiles(adds_to)
def _adds_to(element: adds_to, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    old, new = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(NOT {old} @> {new})"


@compiles(adds_to, "sqlite")
def _adds_to_sqlite(element: adds_to, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    old, new = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(json_patch({old}, {new}) <> json({old}))"


def load(connection: Connection, rows: Iterable[Row]) -> None:
    """Fill a new temporary table by the driver's quickest way."""
    staged.create(connection, checkfirst=False)
    as_stored = UtcDateTime().dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if as_stored is not None:
        rows = (row._replace(joined_at=as_stored(row.joined_at)) if row.joined_at else row for row in rows)
    driver = connection.connection.driver_connection
    assert driver is not None
    names = ", ".join(Row._fields)
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {staged.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(text(f"ANALYZE {staged.name}"))
    else:
        marks = ", ".join("?" * len(Row._fields))
        driver.executemany(f"INSERT INTO {staged.name} ({names}) VALUES ({marks})", rows)  # noqa: S608 - constants


def drop_repetitions(connection: Connection) -> int:
    """Keep one row an address: the first, or the first that says the reader is not to be mailed."""
    other = staged.alias()
    mine, others = (case((table.c.status.in_(STOPPED), 0), else_=1) for table in (staged, other))
    better = or_(others < mine, and_(others == mine, other.c.number < staged.c.number))
    repeated = exists().where(other.c.address == staged.c.address, better)
    return connection.execute(delete(staged).where(repeated)).rowcount


def judge(connection: Connection, purpose: Purpose, *window: ColumnElement[bool]) -> None:
    """Set the verdict of every row (in the window) as the store stands now."""
    known = (
        select(
            case(
                (Subscription.status.in_(STOPPED), KEPT_OUT),
                (and_(Subscription.status == PENDING, staged.c.status == ACTIVE), ACTIVATED),
                (_differs(staged.c), UPDATED),
                else_=UNCHANGED,
            )
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscriber.address == staged.c.address, Subscription.publication_id == purpose.publication_id)
        .scalar_subquery()
    )
    suppressed = is_suppressed(staged.c.address_hash, purpose.publication_id)
    verdict = case((suppressed, KEPT_OUT), else_=func.coalesce(known, ADDED))
    connection.execute(update(staged).values(verdict=verdict).where(*window))


def _differs(new: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a table's or an INSERT's columns
    """Whether a row would change its subscriber; an empty cell never does."""
    return or_(
        and_(new.first_name != "", new.first_name != Subscriber.first_name),
        and_(new.last_name != "", new.last_name != Subscriber.last_name),
        adds_to(Subscriber.attributes, new.attributes),
    )


def write(connection: Connection, purpose: Purpose, *window: ColumnElement[bool]) -> None:
    """Judge the rows of one window and write them, in the caller's transaction."""
    judge(connection, purpose, *window)
    _write_subscribers(connection, purpose, *window, staged.c.verdict.in_((ADDED, ACTIVATED, UPDATED)))
    _write_subscriptions(connection, purpose, *window, staged.c.verdict == ADDED)
    activated = select(Subscriber.id).join(staged, staged.c.address == Subscriber.address)
    connection.execute(
        update(Subscription)
        .values(status=ACTIVE, confirmed_at=purpose.at)
        .where(
            Subscription.publication_id == purpose.publication_id,
            Subscription.status == PENDING,
            Subscription.subscriber_id.in_(activated.where(*window, staged.c.verdict == ACTIVATED)),
        )
    )
    _write_history(connection, purpose, *window, staged.c.verdict.in_((ADDED, ACTIVATED)))


def _write_subscribers(connection: Connection, purpose: Purpose, *chosen: ColumnElement[bool]) -> None:
    plain = ("email", "address", "address_hash", "first_name", "last_name", "attributes")
    rows = select(*(staged.c[name] for name in plain), func.coalesce(staged.c.joined_at, purpose.at)).where(*chosen)
    statement = _insert(connection)(Subscriber).from_select([*plain, "created_at"], rows)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[Subscriber.address],
            set_={
                "first_name": func.coalesce(func.nullif(new.first_name, ""), Subscriber.first_name),
                "last_name": func.coalesce(func.nullif(new.last_name, ""), Subscriber.last_name),
                "attributes": merged(Subscriber.attributes, new.attributes),
            },
            where=_differs(new),
        )
    )


def _write_subscriptions(connection: Connection, purpose: Purpose, *chosen: ColumnElement[bool]) -> None:
    status = staged.c.status
    rows = (
        select(
            Subscriber.id,
            literal(purpose.publication_id),
            status,
            literal(SOURCE),
            func.coalesce(staged.c.joined_at, purpose.at),
            case((status == ACTIVE, purpose.at), else_=null()),
            case((status == SubscriptionStatus.UNSUBSCRIBED, purpose.at), else_=null()),
        )
        .join(staged, staged.c.address == Subscriber.address)
        .where(*chosen)
    )
    names = ["subscriber_id", "publication_id", "status", "source", "created_at", "confirmed_at", "left_at"]
    connection.execute(_insert(connection)(Subscription).from_select(names, rows).on_conflict_do_nothing())


def _write_history(connection: Connection, purpose: Purpose, *chosen: ColumnElement[bool]) -> None:
    """Add the change of status of every reader in the window who is new or newly active, and the consent."""
    before = case((staged.c.verdict == ACTIVATED, PENDING.value), else_=null())
    evidence = f"Imported: {purpose.consent_source}" if purpose.consent_source else "Imported."
    at = literal(purpose.at, UtcDateTime())
    changes = (
        select(Subscription.id, at, before, staged.c.status, literal(evidence))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(staged, staged.c.address == Subscriber.address)
        .where(Subscription.publication_id == purpose.publication_id, *chosen)
    )
    names = ["subscription_id", "at", "before", "after", "evidence"]
    connection.execute(insert(StatusChange).from_select(names, changes))
    if purpose.confirmed:
        facts = (purpose.publication_id, ConsentKind.IMPORTED.value, purpose.consent_source)
        proofs = (
            select(Subscriber.id, at, *map(literal, facts))
            .join(staged, staged.c.address == Subscriber.address)
            .where(staged.c.status == ACTIVE, *chosen)
        )
        names = ["subscriber_id", "at", "publication_id", "kind", "source"]
        connection.execute(insert(Consent).from_select(names, proofs))


def _insert(connection: Connection) -> Any:  # noqa: ANN401 - either dialect's `insert`, which have no common type
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def verdicts(connection: Connection) -> dict[tuple[str, str], int]:
    """Count the rows by (verdict, status)."""
    rows = connection.execute(
        select(staged.c.verdict, staged.c.status, func.count()).group_by(staged.c.verdict, staged.c.status)
    )
    return {(verdict, status): number for verdict, status, number in rows}
