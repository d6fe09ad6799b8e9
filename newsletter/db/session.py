"""The engine and the unit of work.

Promise: ``Database.transaction`` is one transaction, committed when the block
ends and rolled back when it raises; functions given to ``after_commit`` run only
after a commit that succeeded. ``Database.read`` never takes SQLite's write lock.
Rooms receive the ``Session`` and never commit; only ``delivery``, whose states
must outlive a crash one by one, opens transactions of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session

from newsletter.config import Settings

BUSY_TIMEOUT_MS = 30_000
AFTER_COMMIT = "after_commit"
AWAY: Final = (OperationalError, InterfaceError, InternalError)  # gone, locked, full, shutting down: it may come back
# A server that vanished without a word is noticed within half a minute (libpq's names; milliseconds in the last).
NOTICE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


class Database:
    """One database: SQLite or PostgreSQL. Make it once per process (after a fork, not before)."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine = _engine(url, pool_size)

    @classmethod
    def of(cls, settings: Settings) -> Database:
        """Open the database that the settings name."""
        return cls(settings.database)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session that may write; commit at the end, roll back on an exception."""
        with self._writing() as connection, Session(connection, expire_on_commit=False) as session:
            with session.begin():
                yield session
            callbacks: list[Callable[[], None]] = session.info.pop(AFTER_COMMIT, [])
        for callback in callbacks:
            callback()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session for reading; whatever it wrote is rolled back."""
        with self.engine.connect() as connection, Session(connection, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a Core connection in one writing transaction, for set-based SQL."""
        with self._writing() as connection, connection.begin():
            yield connection

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(sqlite_begin="IMMEDIATE")

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Run ``callback`` once the session's transaction has been committed."""
    session.info.setdefault(AFTER_COMMIT, []).append(callback)


def _engine(url: str, pool_size: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_size=pool_size, max_overflow=10, pool_pre_ping=True, connect_args=NOTICE)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection has no type
    connection.isolation_level = None  # we say BEGIN ourselves, below
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "cache_size = -65536",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads first and
    # writes later would otherwise fail with "database is locked" without waiting.
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
