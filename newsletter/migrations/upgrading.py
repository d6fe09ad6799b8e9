"""Where a database stands, and how it is brought to this version's tables.

Promise: ``upgrade`` applies every pending revision in one transaction, all or
none; two that run at once do it once; it gives up after ten seconds when another
program holds a table. ``state`` changes nothing, and is quick: the rooms' models
are imported by the upgrade alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from newsletter.db import Database
from newsletter.errors import Refused

FOLDER: Final = Path(__file__).resolve().parent
LOCK: Final = 0x6E657773  # any number that no other program of this database uses
LOCK_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class State:
    """The revision a database is at (empty: no tables yet) and the one this version needs."""

    current: str
    head: str

    @property
    def up_to_date(self) -> bool:
        """Whether nothing is to be done."""
        return self.current == self.head


@cache
def head() -> str:
    """Return the newest revision's number."""
    return ScriptDirectory(FOLDER).get_current_head() or ""


def state(database: Database) -> State:
    """Return where ``database`` stands."""
    with database.engine.connect() as connection:
        return State(_current(connection), head())


def require_current(database: Database) -> None:
    """Raise ``Refused`` with what to do unless the tables are this version's."""
    found = state(database)
    if found.up_to_date:
        return
    known = {script.revision for script in ScriptDirectory(FOLDER).walk_revisions()}
    if found.current and found.current not in known:
        raise Refused(f"The database was upgraded by a newer version (revision {found.current}); install that version.")
    stands = f"is at revision {found.current}" if found.current else "is empty"
    raise Refused(f"The database {stands} and this version needs {found.head}: run “newsletter migrate”.")


def upgrade(database: Database) -> State:
    """Apply what is pending; return where the database stood before and stands now."""
    try:
        with database.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
            _suspend_foreign_keys(connection)
            with connection.begin():
                _lock(connection)
                before = _current(connection)
                config = configuration()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                _check_foreign_keys(connection)
    except OperationalError as error:
        if "lock" not in str(error.orig):
            raise
        raise Refused("Another program uses the tables; stop the workers and the web server, then migrate.") from error
    finally:
        database.dispose()  # no pooled connection keeps the suspended pragma
    return State(before, head())


def configuration() -> Config:
    """Return Alembic's configuration, which would else be a file."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config


def _current(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def _suspend_foreign_keys(connection: Connection) -> None:
    """On SQLite a table is altered by copying and dropping it; the drop must not cascade."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")  # without effect inside a transaction, so before it


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and (broken := connection.execute(text("PRAGMA foreign_key_check")).all()):
        raise Refused(f"{len(broken)} rows would point at rows that do not exist; nothing was changed.")
