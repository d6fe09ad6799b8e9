"""How commands speak: results on standard output, words for people on standard error.

Promise: with ``--json`` standard output holds one JSON document, or one a line,
and nothing else; instants are ISO 8601 in UTC, states are their names. Without it
people get tables and short facts. Colours only on a terminal.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from newsletter.kit.paging import MAX_PAGE, PAGE, Page

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
After = Annotated[int | None, typer.Option(min=0, help="Show the rows after this cursor (printed with each page).")]
Limit = Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="How many rows to show.")]

DEFAULT_LIMIT: Final = PAGE

ProgressCallback = Callable[[int, int | None], None]


def say(line: str) -> None:
    """Print a line for a person on standard error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the command line's voice


def line(text: str) -> None:
    """Print one line of a result on standard output."""
    print(text)  # noqa: T201 - the command line's result


def document(value: object) -> None:
    """Print one JSON document on a line of its own."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)  # noqa: T201 - the command line's result


def _plain(value: object) -> object:
    """Return what JSON knows in place of ``value``: an object for a dataclass, text for an instant."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for a person; numbers to the right, instants to the minute."""
    shown = [[_cell(value) for value in row] for row in rows]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        number = bool(shown) and all(row[index].lstrip("-").isdigit() or not row[index] for row in shown)
        drawn.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in shown:
        drawn.add_row(*row)
    Console(markup=False, highlight=False, soft_wrap=not sys.stdout.isatty()).print(drawn)


def facts(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        line(f"{name:<{width}}  {_cell(value)}")


def page(
    found: Page[Any], columns: Mapping[str, Callable[[Any], object]], *, as_json: bool, empty: str = "nothing yet"
) -> None:
    """Print one page of rows: JSON lines, or a table and how to see the next page."""
    if as_json:
        for row in found.rows:
            document(row)
    elif found.rows:
        table(list(columns), [[value(row) for value in columns.values()] for row in found.rows])
    else:
        say(empty)
    if found.next_after is not None:
        say(f"more with --after {found.next_after}")


@contextmanager
def progress(words: str) -> Iterator[ProgressCallback]:
    """Yield a callback ``(done, total or None)`` that draws a bar on a terminal's standard error."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(value)
