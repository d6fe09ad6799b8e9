"""`newsletter doctor`: what is missing or wrong, and what to do about it.

Promise: one line for each thing that must work, whatever else fails; it changes
nothing and sends nothing. Exit code 1 when something fails, 0 when there are at
most warnings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from newsletter import config, publications
from newsletter.cli.background import broker_checks
from newsletter.cli.checks import Check, Health, database_checks, fail, ok, settings_checks
from newsletter.cli.dns import dns_checks
from newsletter.cli.door import load, missing_file
from newsletter.cli.output import Json, document
from newsletter.cli.relays import relay_checks
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.errors import ConfigError

COLOURS: Final = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "bold red"}

app = typer.Typer()


@app.command()
def doctor(
    *,
    dns: Annotated[bool, typer.Option("--dns", help="Also look up SPF, DKIM, DMARC and MX.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is missing or wrong, and what to do."""
    failed = False
    for check in examine(dns=dns):
        failed = failed or check.health is Health.FAIL
        if as_json:
            document(check)
        else:
            _show(check)
    if failed:
        raise typer.Exit(1)


def examine(*, dns: bool) -> Iterator[Check]:
    """Make every check, in the order in which one would mend what fails."""
    try:
        settings = load()
    except ConfigError as error:
        yield fail("settings", error.message, "see docs/operating.md")
        return
    yield ok("settings", f"read from {config.PREFIX}…")
    yield from settings_checks(settings)
    yield from _database(settings, dns=dns)
    yield from broker_checks(settings)
    yield from relay_checks(settings)


def _database(settings: Settings, *, dns: bool) -> Iterator[Check]:
    missing = missing_file(settings)
    if missing is not None:
        yield fail("database", f"there is no {missing}", "run: newsletter migrate (or newsletter run)")
        return
    database = Database.of(settings)
    try:
        checks = list(database_checks(database))
        yield from checks
        if dns and not any(check.health is Health.FAIL for check in checks):
            with database.read() as session:
                found = publications.listing(session)
            yield from dns_checks(settings, found)
    finally:
        database.dispose()


def _show(check: Check) -> None:
    console = Console(highlight=False, soft_wrap=True)
    advice = f"\n       {check.advice}" if check.advice else ""
    colour = COLOURS[check.health]
    console.print(f"[{colour}]{check.health:<4}[/]  {escape(check.name)}: {escape(check.found)}{escape(advice)}")
