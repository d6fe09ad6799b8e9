"""The link between a process and its database, with a proxy in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crash.proxy import Proxy
from sqlalchemy import make_url


@contextmanager
def proxied_database(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of a PostgreSQL server, and the address of the database through it."""
    parsed = make_url(url)
    folder, port = parsed.query.get("host", ""), parsed.port or 5432
    with Proxy(Path(str(folder)) / f".s.PGSQL.{port}" if folder else (str(parsed.host), port)) as proxy:
        through = parsed.difference_update_query(["host"]).set(host="127.0.0.1", port=proxy.port)
        yield proxy, through.render_as_string(hide_password=False)
