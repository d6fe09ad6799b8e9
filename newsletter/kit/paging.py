"""Keyset pages: every list in the program is cut with these.

Promise: a page costs the same however deep it lies, and rows that come or go
elsewhere neither repeat nor hide one. The cursor is the id of the last row shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")

PAGE = 50
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """At most ``limit`` rows and, if there are more, the cursor of the next page."""

    rows: Sequence[Row]
    next_after: int | None = None


def cut(rows: Sequence[Row], limit: int, key: Callable[[Row], int]) -> Page[Row]:
    """Make a page of rows that were selected with ``LIMIT limit + 1``."""
    if len(rows) <= limit:
        return Page(rows)
    shown = rows[:limit]
    return Page(shown, key(shown[-1]))
