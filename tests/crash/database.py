"""Ways to take a database away for a while."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TypeAlias

from crash.cluster import Cluster
from sqlalchemy import make_url

Away: TypeAlias = Callable[[], AbstractContextManager[None]]


def locked(url: str) -> Away:
    """SQLite: another program holds the write lock."""

    @contextmanager
    def away() -> Iterator[None]:
        connection = sqlite3.connect(make_url(url).database or "", timeout=30, isolation_level=None)
        with closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    return away


def killed(cluster: Cluster) -> Away:
    """PostgreSQL: the server is killed, and started again."""

    @contextmanager
    def away() -> Iterator[None]:
        cluster.kill()
        yield
        cluster.start()

    return away
