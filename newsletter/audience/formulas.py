"""Keeping a spreadsheet from running what a reader typed (T4).

Promise: a guarded cell is text to every spreadsheet, and ``unguard(guard(cell))``
is ``cell`` for every text, so that an export can be imported again unchanged.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")


def guard(cell: str) -> str:
    """Return the cell with a leading apostrophe where a spreadsheet would see a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Return the cell as it was before ``guard``."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell
