"""The demonstration's own folder: recognised by a marker, wiped only when it bears one.

Promise: a folder that holds anything else is never touched; what the marker
remembers (when the demonstration was first started, on which port its newsroom
answers) makes a second start continue the first. Wiping happens under the
supervisor's lock, so never below a demonstration that runs.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from newsletter.errors import Refused
from newsletter.kit import clock

MARKER: Final = "demo.json"
KEPT: Final = "run"  # the supervisor's lock


@dataclass(frozen=True, slots=True)
class Marker:
    """What a folder remembers of its demonstration."""

    started: str  # ISO 8601; the stories' dates count back from it
    port: int  # of the newsroom and the inbox: it is part of every story's address

    @property
    def started_at(self) -> dt.datetime:
        """When the demonstration was first started."""
        return dt.datetime.fromisoformat(self.started)


def claim(folder: Path) -> None:
    """Raise ``Refused`` if the folder holds something that no demonstration put there."""
    strange = [path.name for path in folder.iterdir() if path.name != KEPT] if folder.is_dir() else []
    if strange and not (folder / MARKER).is_file():
        raise Refused(
            f"{folder} holds something else ({strange[0]}); the demonstration wants a folder of its own: "
            "point NEWSLETTER_DATA_DIR to an empty one, or unset it."
        )


def wipe(folder: Path) -> None:
    """Remove everything that the demonstration made; call ``claim`` first and hold the supervisor's lock."""
    for path in folder.iterdir():
        if path.name == KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remembered(folder: Path) -> Marker | None:
    """Return the marker, or None before the first start."""
    try:
        return Marker(**json.loads((folder / MARKER).read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise Refused(f"{folder / MARKER} is damaged; start with --reset.") from error


def remember(folder: Path, port: int) -> Marker:
    """Write the marker of a demonstration that starts now."""
    marker = Marker(started=clock.now().isoformat(), port=port)
    (folder / MARKER).write_text(json.dumps(asdict(marker)))
    return marker
