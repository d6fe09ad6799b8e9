"""`newsletter worker`: a Celery worker.

Promise: runs the application of ``worker.py``, also where only the wheel is
installed, until SIGTERM: then it finishes what is on the wire and leaves within
30 seconds. It starts, and does its work, while the broker is away.
"""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli.door import ready
from newsletter.jobs.configuration import THREADS
from newsletter.jobs.processes import run_worker

app = typer.Typer()


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many jobs at once in this process.")] = THREADS,
) -> None:
    """Run a worker: sends, collects, writes notices, judges bounces."""
    raise typer.Exit(run_worker(ready(), concurrency=concurrency))
