"""An installation for commands and processes: environment, a database that counts as migrated, a broker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import text

from newsletter import config, migrations
from newsletter.cli import valkey
from newsletter.db import Database

SECRET = "a test key that is long enough to be accepted"

Found = TypeVar("Found")


def environment(folder: Path, database_url: str, **settings: str) -> dict[str, str]:
    """The settings of one installation, as its environment."""
    known = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET,
        "BASE_URL": "http://news.example.test",
        **settings,
    }
    return {config.PREFIX + name: value for name, value in known.items()}


def stamp(database_url: str) -> None:
    """Note in a database whose tables were made from the models that it is at the newest revision."""
    database = Database(database_url)
    with database.connection() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": migrations.head()})
    database.dispose()


@contextmanager
def broker(folder: Path) -> Iterator[subprocess.Popen]:
    """The embedded broker of an installation, as `newsletter run` starts it."""
    program = valkey.program(config.load(data_dir=folder, broker_url=""))
    with subprocess.Popen(program.argv, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(program.ready)
            yield process
        finally:
            process.kill()


def eventually(found: Callable[[], Found], seconds: float = 20.0) -> Found:
    """The first true value that ``found`` returns, waiting for it."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)
    return value
