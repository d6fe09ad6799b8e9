"""`newsletter beat`: the clock.

Promise: asks the workers every five seconds to look for due work, until SIGTERM.
It keeps nothing: the schedule of every issue lies in the database, so two beats
send nothing twice and a lost one costs ten seconds, the workers' own sweep.
"""

from __future__ import annotations

import typer

from newsletter.cli.door import ready
from newsletter.jobs.processes import run_beat

app = typer.Typer()


@app.command()
def beat() -> None:
    """Run the clock that asks the workers to look for due work."""
    run_beat(ready())
