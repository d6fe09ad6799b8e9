"""What a machine remembers of the ledger, so that a database which went back in time is noticed.

Promise: ``Memory`` keeps, in one small file under DATA_DIR, the last sign of life
of a sender that the database confirmed; only that sender writes its row, so a row
that is missing or behind means that commits were lost: a backup was put back, or a
failover lost its end. ``went_back`` looks at a single delivery in the same way.
What is done about it is for ``restoration``. A folder that cannot be written costs
the memory, never the sending.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from newsletter.delivery.models import Delivery, DeliveryState, Restoration, SenderProcess
from newsletter.delivery.statements import Ticket

log = logging.getLogger(__name__)

FILE: Final = "ledger.json"
# How far a delivery is under one claim; no move under the same epoch leads back.
_STAGES: Final = {DeliveryState.CLAIMED: 1, DeliveryState.SENDING: 2}
_LAST_STAGE: Final = 3


class WentBack(Exception):
    """The database no longer holds what it had confirmed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database last confirmed: how often a sender showed that it lives, and the last restoration."""

    sender: int  # 0: none since the restoration
    mark: str
    renewals: int
    restoration: str  # its mark; empty: there was none


class Memory:
    """The file, and what it held when it was read or written here.

    Any number of processes of a machine share it; the last one to write counts.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self.known = self._read()

    def keep(self, known: Known) -> None:
        """Remember from now on, also after a power cut."""
        self.known = known
        draft = self._path.with_name(f".{FILE}.{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("w") as file:
                json.dump(asdict(known), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            log.warning("a restored backup would not be noticed: %s cannot be written: %s", self._path, error.strerror)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    @property
    def mark(self) -> str:
        """The mark of the sender that is remembered."""
        return self.known.mark if self.known else ""

    def grown(self, renewals: int | None) -> int:
        """Return the sender's count of renewals; raise ``WentBack`` if it did not grow, or is None with its row."""
        if renewals is None or (self.known and renewals <= self.known.renewals):
            raise WentBack
        return renewals

    def confirm(self, renewals: int) -> None:
        """Remember a count that was committed."""
        assert self.known
        self.keep(replace(self.known, renewals=renewals))

    def _read(self) -> Known | None:
        try:
            return Known(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            log.warning("a restored backup would not be noticed: %s cannot be read: %s", self._path, error)
        return None


def went_back(session: Session, known: Known) -> bool:
    """Whether the database holds less than it had confirmed, and no machine noticed it yet."""
    if noticed_since(session, known):
        return False
    if last_restoration(session) != known.restoration:
        return True
    renewals = session.scalar(
        select(SenderProcess.renewals).where(SenderProcess.id == known.sender, SenderProcess.mark == known.mark)
    )
    return known.sender != 0 and (renewals is None or renewals < known.renewals)


def noticed_since(session: Session, known: Known) -> bool:
    """Whether a machine, this one or another, found the database too old after what is known here."""
    mine = select(Restoration.id).where(Restoration.mark == known.restoration)
    last = last_restoration(session)
    return last != known.restoration and (not known.restoration or session.scalar(mine) is not None)


def check(connection: Connection, ticket: Ticket, reached: DeliveryState) -> None:
    """Raise ``WentBack`` if a delivery that was written as ``reached`` is not that far any more."""
    where = (Delivery.send_id == ticket.send_id, Delivery.seq == ticket.seq)
    row = connection.execute(select(Delivery.epoch, Delivery.state).where(*where)).one_or_none()
    if row is None or (row.epoch, _stage(row.state)) < (ticket.epoch, _stage(reached)):
        raise WentBack


def last_restoration(session: Session) -> str:
    """Return the mark of the restoration that was noticed last; empty if there was none."""
    return session.scalar(select(Restoration.mark).order_by(Restoration.id.desc()).limit(1)) or ""


def new_mark() -> str:
    """Return a name that no row of an older database has."""
    return secrets.token_hex(8)


def _stage(state: DeliveryState) -> int:
    return _STAGES.get(state, _LAST_STAGE)
