"""The product's own programs, ``newsletter worker`` and the like, as processes of a trial."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from factories import cli

from newsletter.config import Settings


@contextmanager
def program(settings: Settings, *words: str) -> Iterator[subprocess.Popen]:
    """Run a program with these settings until the block ends; what it says goes to a file in its data folder."""
    given = {"SMTP_URL": settings.smtp_url[0], "BROKER_URL": settings.broker_url}
    environment = {**os.environ, **cli.environment(settings.data_dir, settings.database_url, **given)}
    with (settings.data_dir / f"{words[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", *words], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
