"""Faults between a process and its database: a death in mid-transaction, a failing commit, an answer that is lost."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from newsletter.db import Database


class Died(BaseException):
    """The process is no more; nothing of it runs after this, not even what catches errors."""


class Faults:
    """The faults of one database's connections; each strikes once."""

    def __init__(self, database: Database) -> None:
        self._statements_left: int | None = None
        self._fails: Callable[[], None] | None = None
        self._loses_answer: Callable[[], None] | None = None
        self._main = threading.current_thread()
        engine = database.engine
        event.listen(engine, "before_cursor_execute", self._executing)
        self._commit = engine.dialect.do_commit
        engine.dialect.do_commit = self._committing

    @contextmanager
    def death(self, after: int) -> Iterator[None]:
        """The calling thread dies when it is about to send its next statement but ``after``."""
        self._statements_left = after
        try:
            yield
        except Died:
            pass
        finally:
            self._statements_left = None

    def fail_next_commit(self, meanwhile: Callable[[], None]) -> None:
        """The ledger finds the database gone; before it comes back ``meanwhile`` happens."""
        self._fails = meanwhile

    def lose_next_answer(self, meanwhile: Callable[[], None]) -> None:
        """The ledger's next commit happens, its answer is lost, then ``meanwhile`` happens."""
        self._loses_answer = meanwhile

    def _executing(self, *_arguments: object) -> None:
        if threading.current_thread() is self._main:
            self._dies()
        elif self._fails and threading.current_thread().name == "ledger":
            strike, self._fails = self._fails, None
            strike()  # nothing is locked yet: on SQLite this is BEGIN, on PostgreSQL each statement is a transaction
            raise _gone()

    def _dies(self) -> None:
        if self._statements_left is None:
            return
        if not self._statements_left:
            self._statements_left = None
            raise Died
        self._statements_left -= 1

    def _committing(self, connection: object) -> None:
        self._commit(connection)
        if self._loses_answer and threading.current_thread().name == "ledger":
            strike, self._loses_answer = self._loses_answer, None
            strike()
            raise _gone()


def _gone() -> OperationalError:
    return OperationalError("", None, sqlite3.OperationalError("the database is away"))
