"""Where the files that come with the program lie.

Promise: the same call works in a checkout, where templates/ is at the top, and
from an installed wheel, which carries them inside the package.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


@cache
def templates() -> Path:
    """Return the folder that holds email/ and web/."""
    inside = PACKAGE / "templates"
    return inside if inside.is_dir() else PACKAGE.parent / "templates"
