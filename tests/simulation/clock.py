"""The database's own clock, moved by hand.

The ledger asks nobody but the database what time it is, so time is moved there:
on SQLite the connection's ``strftime`` and on PostgreSQL a ``clock_timestamp``
that the search path finds first answer with ``moment``. The product's SQL is
what it always is.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import event, text

from newsletter.db import Database

START = dt.datetime(2026, 11, 27, 15, 0, tzinfo=dt.UTC)
_FORM = "%Y-%m-%d %H:%M:%f000"  # what newsletter.db asks SQLite for


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = START
        self._database: Database | None = None

    @staticmethod
    def prepare(database: Database) -> None:
        """Put what PostgreSQL needs into a database that will be copied."""
        if database.dialect == "postgresql":
            with database.connection() as connection:
                connection.execute(text("CREATE SCHEMA simulated"))
                connection.execute(text("CREATE TABLE simulated.clock AS SELECT clock_timestamp() AS moment"))
                connection.execute(
                    text(
                        "CREATE FUNCTION simulated.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
                        " AS 'SELECT moment FROM simulated.clock'"
                    )
                )

    def govern(self, database: Database) -> None:
        """Be the clock of a database from its first connection on."""
        self._database = database
        event.listen(database.engine, "connect", self._connected)
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        assert self._database is not None
        self.moment += dt.timedelta(seconds=seconds)
        if self._database.dialect == "postgresql":
            with self._database.connection() as connection:
                connection.execute(text("UPDATE simulated.clock SET moment = :moment"), {"moment": self.moment})

    def _connected(self, connection, _record) -> None:
        assert self._database is not None
        if self._database.dialect == "sqlite":
            connection.create_function("strftime", -1, self._strftime)
            return
        with connection.cursor() as cursor:
            # Named in the path, pg_catalog is no longer searched before everything else.
            cursor.execute("SET search_path = simulated, pg_catalog, public")
        connection.commit()

    def _strftime(self, form: str, origin: str, modifier: str | None = "0 seconds") -> str | None:
        assert (form, origin) == (_FORM, "now"), "the product asks SQLite for the time in a way that is not simulated"
        if modifier is None:
            return None
        moment = self.moment + dt.timedelta(seconds=float(modifier.removesuffix(" seconds")))
        return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}000"
