"""`newsletter bounce`: what came back.

Promise: `explain` judges returned mail from files, needs no settings and no
database, and prints one JSON line a file; `intake` takes returned mail by LMTP
until SIGTERM and says 250 only for what is kept.
"""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from newsletter import events
from newsletter.cli.door import entered
from newsletter.cli.output import document, say
from newsletter.errors import Invalid
from newsletter.kit import logs

app = typer.Typer(no_args_is_help=True, help="Explain returned mail, or take it in.")


@app.command()
def explain(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files that hold one message each.")],
) -> None:
    """Say what each message means and whose fault it is: one JSON line a file."""
    unreadable = 0
    for name in files:
        try:
            raw = Path(name).read_bytes()
        except OSError as error:
            unreadable += 1
            say(f"error: {name} cannot be read: {error.strerror}.")
        else:
            document({"file": name, **events.explain(raw).as_json()})
    if unreadable:
        raise typer.Exit(1)


@app.command()
def intake(
    *,
    lmtp: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Take mail by LMTP at this address.")
    ] = "127.0.0.1:2424",
) -> None:
    """Take returned mail from a mail server until stopped."""
    host, port = _address(lmtp)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with entered() as door:
        logs.setup(door.settings.log_format, level=logging.INFO)
        try:
            events.serve_lmtp(door.database, door.settings, host, port, stop)
        except OSError as error:
            raise Invalid(f"Cannot listen on {lmtp}: {error.strerror}.", field="lmtp") from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise Invalid(f"“{text}” is no address; write it like 127.0.0.1:2424.", field="lmtp")
    return host.strip("[]"), int(port)
