"""A folder of hits that the database could not take: written when it is away, read when it is back.

Promise: ``put`` returns after the batch lies on the disk under its final name;
``batches`` yields whole batches only. Each hit carries a mark made when it was
spilled, so that a batch replayed twice counts once. No network address and no
user agent is ever written.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from newsletter.events.models import EventKind, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hit:
    """One open or click as it was seen. ``seq`` 0 is a reader who wants no tracking; ``link`` 0 an open."""

    at: dt.datetime
    kind: EventKind
    send_id: int
    seq: int
    link: int
    verdict: Verdict
    mark: str | None = None


class Spill:
    """The folder, made when it is first needed; shared by all processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, hits: Sequence[Hit]) -> None:
        """Write a batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{hits[0].at:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"
        draft = self.folder / f".{name}"
        with draft.open("w", encoding="ascii") as file:
            for number, hit in enumerate(hits):
                file.write(_line(replace(hit, mark=hit.mark or f"spill:{name}:{number}")))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.folder / f"{name}.hits")

    def batches(self) -> Iterator[tuple[Path, list[Hit]]]:
        """Yield each batch with its file, oldest first; the caller unlinks the file when the hits are stored.

        A file that somebody damaged is put out of the way, so that it does not hold up the others.
        """
        for path in sorted(self.folder.glob("*.hits")):
            try:
                hits = [_hit(line) for line in path.read_text(encoding="ascii").splitlines()]
            except FileNotFoundError:
                continue  # another process stored it
            except ValueError:
                log.warning("%s cannot be read and is left aside", path)
                path.rename(path.with_suffix(".unreadable"))
                continue
            yield path, hits


def _line(hit: Hit) -> str:
    values = (hit.at.isoformat(), hit.kind.value, hit.send_id, hit.seq, hit.link, hit.verdict.value, hit.mark)
    return json.dumps(values) + "\n"


def _hit(line: str) -> Hit:
    at, kind, send_id, seq, link, verdict, mark = json.loads(line)
    return Hit(dt.datetime.fromisoformat(at), EventKind(kind), send_id, seq, link, Verdict(verdict), mark)
