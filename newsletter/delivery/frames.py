"""A running send as a sending process knows it: its editions ready to be filled, its place in the ledger.

Promise: a frame is loaded once per process and send and stays right, since what it
holds is frozen; only the cursor moves. It reads, and writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter import editions, publications
from newsletter.audience import Links
from newsletter.config import Settings
from newsletter.db import now
from newsletter.delivery.dkim import Signer
from newsletter.delivery.models import Send, SendState
from newsletter.delivery.personalize import Letterhead, Personalizer, Reader
from newsletter.delivery.statements import LEASE_SECONDS, Claimed, Ticket
from newsletter.delivery.tracking import Marks

LOOK_HOLDS: Final = 0.5  # seconds
STALE_SECONDS: Final = LEASE_SECONDS * 2 / 3  # a lease that was fresh so long ago counts as over: a wide margin
MOST_RESTS: Final = 12  # looks for which a cursor that found nothing again and again stays closed


@dataclass(slots=True)
class Cursor:
    """A place in the ledger from which is claimed; ``found`` counts what this pass claimed."""

    lane: int | None  # None: all lanes that nothing holds
    after: int = 0
    found: int = 0
    done: bool = False  # a whole pass found nothing due
    empty: int = 0  # such passes, one after the other
    rests: int = 0  # looks until it is open again

    def passed(self, claimed: Sequence[Claimed], limit: int) -> None:
        """Move on after a claim of at most ``limit``."""
        if len(claimed) == limit:
            self.after, self.found, self.empty = claimed[-1].seq, self.found + limit, 0
            return
        # The end of this pass; what came free behind the cursor is found by the next one.
        self.done = not claimed and not self.found
        self.empty = self.empty + 1 if self.done else 0
        self.rests = min(2 ** max(self.empty - 1, 0), MOST_RESTS)
        self.after = self.found = 0

    def look(self) -> None:
        """Open it again, unless it has been in vain too often lately."""
        self.rests -= 1
        self.done = self.done and self.rests > 0

    def again(self) -> None:
        """Make another whole pass: there may be more behind it than it knows."""
        self.done, self.found = False, self.found + 1


@dataclass(slots=True)
class Frame:
    """One running send, with a claim cursor for each lane that something holds and one for the others."""

    letterhead: Letterhead
    window_left: float  # seconds of the retry window, when it was loaded
    settings: Settings
    cursors: dict[int | None, Cursor] = field(default_factory=lambda: {None: Cursor(None)})
    in_a_row: int = 0  # refusals since something was accepted
    refused: int = 0
    personalizers: dict[int, Personalizer] = field(default_factory=dict)  # by edition
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def send_id(self) -> int:
        """The send's id."""
        return self.letterhead.send_id

    def cursor(self, lane: int | None) -> Cursor:
        """Return a lane's cursor; one that is held from now on goes on where it went with the others."""
        if lane not in self.cursors:
            self.cursors[lane] = Cursor(lane, after=self.cursors[None].after, found=1)
        return self.cursors[lane]

    def release(self, lane: int) -> None:
        """Let a lane go with the others again."""
        if self.cursors.pop(lane, None):
            self.cursors[None].again()

    def patience_left(self) -> float:
        """Return the seconds until the retry window ends; negative after it."""
        return self.window_left - (time.monotonic() - self.loaded_at)

    def prepare(self, session: Session, edition_id: int) -> None:
        """Load an edition, unless it is loaded."""
        if edition_id not in self.personalizers:
            compiled = editions.load(session, edition_id).compiled
            self.personalizers[edition_id] = personalizer(self.settings, self.letterhead, compiled)


@dataclass(slots=True, eq=False)
class Job:
    """One claimed delivery on its way through this process."""

    frame: Frame
    ticket: Ticket
    attempt: int  # counted from 1: the one that is about to be made
    edition_id: int
    lane: int
    reader: Reader
    since: float = field(default_factory=time.monotonic)  # when its lease was last known to be fresh
    checked: float = field(default_factory=time.monotonic)  # when the reader was last known to want it

    def seen_lately(self) -> bool:
        """Whether the last look at the reader still holds: nobody is mailed who left a second ago."""
        return time.monotonic() - self.checked < LOOK_HOLDS

    def fresh(self) -> bool:
        """Whether it is certainly still ours: when the lease may have run out, somebody else may have it."""
        return time.monotonic() - self.since < STALE_SECONDS


def personalizer(settings: Settings, letterhead: Letterhead, compiled: editions.Compiled) -> Personalizer:
    """Return what fills an edition for a send."""
    links, marks = Links(settings.base_url, settings.secret), Marks(settings.secret)
    return Personalizer(compiled, letterhead, links, marks, Signer.of(settings, letterhead.sender))


def letterhead(session: Session, settings: Settings, send: Send) -> Letterhead:
    """Return what all messages of a send share."""
    publication = publications.by_id(session, send.publication_id)
    return Letterhead(
        send_id=send.id,
        publication_id=publication.id,
        slug=publication.slug,
        sender=publication.from_address,
        bounce_domain=settings.bounce_domain or publication.from_address.rpartition("@")[2],
        started_at=send.started_at or send.created_at,
    )


def running(session: Session, settings: Settings, known: set[int], send_id: int | None = None) -> list[Frame]:
    """Load the sends that are being sent and not ``known`` yet, oldest first; only ``send_id`` if given."""
    statement = select(Send).where(Send.state == SendState.SENDING, Send.id.not_in(known)).order_by(Send.id)
    if send_id is not None:
        statement = statement.where(Send.id == send_id)
    moment = session.scalars(select(now())).one()
    frames = []
    for send in session.scalars(statement):
        head = letterhead(session, settings, send)
        elapsed = (moment - head.started_at).total_seconds()
        frames.append(Frame(head, send.retry_window_seconds - elapsed, settings))
    return frames
