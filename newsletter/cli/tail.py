"""One program's log file: written by the program, read by its supervisor.

Promise: the program writes to the file itself, so it never waits for its reader
and outlives it; ``new_lines`` returns each complete line once, but for blank
ones, cut to a readable length. A file over 20 MB is copied to ``<name>.log.1`` and emptied.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO, Final

LIMIT: Final = 20_000_000
LONGEST_LINE: Final = 300
LAST_LINES: Final = 12


class Tail:
    """Reads what has been added to a log file since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._begin = self._offset

    def writer(self) -> IO[bytes]:
        """Open the file for the program: appending, so that emptying it is safe."""
        return self.path.open("ab")

    def new_lines(self) -> list[str]:
        """Return the complete lines that were added since the last call."""
        if not self.path.exists():
            return []
        size = self.path.stat().st_size
        if size == self._offset:
            return []
        with self.path.open("rb") as file:
            file.seek(min(self._offset, size))
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]
        self._offset = min(self._offset, size) + len(complete)
        if self._offset > LIMIT:
            self._rotate()
        lines = (line.decode(errors="replace").rstrip()[:LONGEST_LINE] for line in complete.splitlines())
        return [line for line in lines if line]

    def last_lines(self) -> str:
        """Return the last lines of this run, indented, for an error message."""
        with self.path.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])

    def _rotate(self) -> None:
        shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
        os.truncate(self.path, 0)
        self._offset = self._begin = 0
