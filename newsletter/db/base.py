"""What every table is built on: naming convention, column types, the database's clock.

Promise: a type declared here stores and returns the same value on SQLite and on
PostgreSQL. It opens no connection.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any, TypeVar

from sqlalchemy import JSON, BigInteger, DateTime, Enum, Integer, MetaData, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An instant: aware UTC in Python, timestamptz on PostgreSQL, ISO text in UTC on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuse a naive datetime: nobody could say which instant it is."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime cannot be stored"
            raise ValueError(msg)
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class now(FunctionElement[dt.datetime]):  # noqa: N801 - reads as the SQL function it stands for
    """The database's present instant, moving within a transaction too (clock_timestamp)."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(now)
def _now_default(element: now, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401, ARG001 - SQLAlchemy's hook
    return "clock_timestamp()"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401, ARG001 - SQLAlchemy's hook
    # The form that SQLAlchemy's DateTime stores, so that the two compare as text.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


class later(FunctionElement[dt.datetime]):  # noqa: N801 - reads as the SQL function it stands for
    """The database's present instant plus a number of seconds (a column, a bind or a constant)."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(later)
def _later_default(element: later, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


@compiles(later, "sqlite")
def _later_sqlite(element: later, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({compiler.process(element.clauses, **kw)}) || ' seconds')"


BigId = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER autoincrements on SQLite
Json = JSON().with_variant(JSONB(), "postgresql")

Id = Annotated[int, mapped_column(BigId, primary_key=True)]

Word = TypeVar("Word", bound=enum.StrEnum)


def word(kind: type[Word]) -> Enum:
    """Column type of a ``StrEnum``: its value as text, checked in Python, no enum type in the database."""
    return Enum(kind, native_enum=False, length=24, values_callable=lambda members: [str(m.value) for m in members])


class Base(DeclarativeBase):
    """Base of every mapped class. Relationships are ``lazy="raise"``: no query by accident."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this attribute of the class
        dt.datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[str]: Json,
        list[Any]: Json,
    }
