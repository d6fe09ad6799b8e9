"""Opens and clicks: answered at once, written a moment later, many at a time.

Promise: ``Recorder.click`` and ``Recorder.open`` never wait for the database and
never raise. Hits gather in memory, at most ``CAPACITY`` of them, and are written
every ``PAUSE`` seconds or 1,000; what the database cannot take goes to a folder
under DATA_DIR and is stored when it is back. A process killed in between loses at
most what came in ``PAUSE`` seconds. ``Targets`` knows where links lead: only to
the links of the edition that was sent (threat T8). Counting is for ``reports``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from sqlalchemy.exc import SQLAlchemyError

from newsletter import editions
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.models import Send
from newsletter.delivery.tracking import TRACK
from newsletter.events.hits import store
from newsletter.events.models import EventKind
from newsletter.events.spill import Hit, Spill
from newsletter.events.verdicts import Asked, of_request
from newsletter.events.verp import DeliveryKey
from newsletter.kit import clock
from newsletter.kit.tokens import Sealer

log = logging.getLogger(__name__)

CAPACITY: Final = 50_000
BATCH: Final = 1_000
PAUSE: Final = 0.25  # seconds
MAX_PAUSE: Final = 5.0  # seconds between attempts while the database is away
TARGETS_KEPT: Final = 200  # sends
TARGETS_SECONDS: Final = 60.0  # after which a mended link leads to its new target


def open_token(secret: bytes, token: str) -> DeliveryKey:
    """Return the delivery that a tracked link names (``seq`` 0: nobody), or raise ``BadToken``."""
    send_id, seq = Sealer(secret, TRACK).open(token, 2)
    return DeliveryKey(send_id, seq)


class Recorder:
    """Takes hits from any thread. Use it as a context, or ``close`` it, so that the last hits are written."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._spill = Spill(settings.data_dir / "hits")
        self._hits: list[Hit] = []
        self._changed = threading.Condition()
        self._closing = False
        self._away = False  # the database, at the last attempt
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def click(self, send_id: int, seq: int, n: int, asked: Asked) -> None:
        """Note that link ``n`` of a copy was followed."""
        self._take(Hit(clock.now(), EventKind.CLICKED, send_id, seq, n, of_request(asked)))

    def open(self, send_id: int, seq: int, asked: Asked) -> None:
        """Note that the picture of a copy was loaded."""
        self._take(Hit(clock.now(), EventKind.OPENED, send_id, seq, 0, of_request(asked)))

    def close(self) -> None:
        """Write what is left and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, hit: Hit) -> None:
        with self._changed:
            if len(self._hits) >= CAPACITY or self._closing:
                self.dropped += 1
                return
            self._hits.append(hit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hits", daemon=True)
                self._thread.start()
            if len(self._hits) in (BATCH, CAPACITY // 2):
                self._changed.notify()

    def _run(self) -> None:
        pause = PAUSE
        closing = False
        self._replay()
        while not closing:
            with self._changed:
                if not self._closing:
                    self._changed.wait(pause)
                closing = self._closing
                hits, self._hits = self._hits, []
            self._write(hits)
            if self._away:
                self._replay()
            pause = min(pause * 2, MAX_PAUSE) if self._away else PAUSE

    def _write(self, hits: Sequence[Hit]) -> None:
        for start in range(0, len(hits), BATCH):
            batch = hits[start : start + BATCH]
            if self._away or not self._stored(batch):
                self._put_aside(hits[start:])
                return

    def _stored(self, hits: Sequence[Hit]) -> bool:
        try:
            with self._database.connection() as connection:
                store(connection, hits)
        except (SQLAlchemyError, OSError) as error:
            if not self._away:
                log.warning("opens and clicks are kept on disk, the database is away: %s", error)
            self._away = True
            return False
        self._away = False
        return True

    def _put_aside(self, hits: Sequence[Hit]) -> None:
        try:
            self._spill.put(hits)
        except OSError:
            log.exception("%s opens and clicks are lost: neither the database nor the disk took them", len(hits))
            self.dropped += len(hits)

    def _replay(self) -> None:
        """Store what lies on the disk, this process's or another's, as far as the database takes it."""
        for path, hits in self._spill.batches():
            for start in range(0, len(hits), BATCH):
                if not self._stored(hits[start : start + BATCH]):
                    return
            path.unlink(missing_ok=True)
        self._away = False


class Targets:
    """Where each link of each send leads, from memory; the database is asked once a minute for each send."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, tuple[float, dict[int, str]]] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, send_id: int, n: int) -> str | None:
        """Return the address of link ``n``, or None; a known one also while the database is away."""
        with self._lock:
            known = self._known.get(send_id)
        if known is None or time.monotonic() - known[0] > TARGETS_SECONDS:
            targets = self._load(send_id)
            if targets is None:
                targets = known[1] if known else {}
            else:
                self._keep(send_id, targets)
        else:
            targets = known[1]
        url = targets.get(n)
        return url if url and url.startswith(("https://", "http://")) else None

    def _load(self, send_id: int) -> dict[int, str] | None:
        try:
            with self._database.read() as session:
                send = session.get(Send, send_id)
                return editions.targets(session, send.edition_id) if send and send.edition_id else {}
        except SQLAlchemyError as error:
            log.warning("the links of send %s could not be read: %s", send_id, error)
            return None

    def _keep(self, send_id: int, targets: dict[int, str]) -> None:
        with self._lock:
            self._known[send_id] = (time.monotonic(), targets)
            self._known.move_to_end(send_id)
            while len(self._known) > TARGETS_KEPT:
                self._known.popitem(last=False)
