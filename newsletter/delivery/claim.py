"""From claimed rows to jobs: who the readers are, and who of them may no longer be mailed.

Promise: the rows stay as the ledger claimed them; a reader who left, was
suppressed or paused since the freeze comes back with the reason and is not made
into a job. It reads only, in a thread beside the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, literal, select
from sqlalchemy.orm import Session

from newsletter import audience
from newsletter.delivery.frames import Frame, Job
from newsletter.delivery.models import Recipient
from newsletter.delivery.personalize import Reader
from newsletter.delivery.statements import Claimed, Ticket

ASK_AT_ONCE: Final = 500  # scattered rows in one statement


@dataclass(frozen=True, slots=True)
class Loaded:
    """The jobs of one claim, and the tickets of those who must not be mailed, each with the reason."""

    jobs: list[Job]
    skipped: list[tuple[Ticket, str]]


def load(session: Session, frame: Frame, claimed: Sequence[Claimed]) -> Loaded:
    """Look up the recipients of claimed rows (in the order of ``seq``) and sort out who may not be mailed."""
    publication_id = frame.letterhead.publication_id
    rows = {row[0]: row for row in _rows(session, frame, claimed)}
    fallen = [row[1] for row in rows.values() if not row[-1]]
    reasons = audience.ineligible(session, publication_id, fallen)
    loaded = Loaded([], [])
    for seq, epoch, attempt, lane in claimed:
        row = rows[seq]
        reader, edition_id = Reader._make(row[:-2]), row[-2]
        ticket = Ticket(frame.send_id, seq, epoch)
        if reasons and (reason := reasons.get(reader.subscriber_id)):
            loaded.skipped.append((ticket, reason))
        else:
            frame.prepare(session, edition_id)
            loaded.jobs.append(Job(frame, ticket, attempt + 1, edition_id, lane, reader))
    return loaded


def _rows(session: Session, frame: Frame, claimed: Sequence[Claimed]) -> list[Row[*tuple[Any, ...]]]:
    """Read one range if the rows lie together, which is usual, else lists of rows."""
    lookup = _lookup(frame.letterhead.publication_id).where(Recipient.send_id == frame.send_id)
    read = session.connection().execute  # plain rows: the ORM's cost as much again as the query
    seqs = [one.seq for one in claimed]
    if seqs[-1] - seqs[0] < 2 * len(seqs):
        return list(read(lookup.where(Recipient.seq.between(seqs[0], seqs[-1]))))
    pieces = [seqs[start : start + ASK_AT_ONCE] for start in range(0, len(seqs), ASK_AT_ONCE)]
    return [row for piece in pieces for row in read(lookup.where(Recipient.seq.in_(piece)))]


@cache
def _lookup(publication_id: int) -> Select[*tuple[Any, ...]]:
    """Select what a ``Reader`` is made of, the edition, and whether the reader is still eligible."""
    recipient = Recipient.__table__.c
    eligible = audience.eligible(publication_id).where(audience.Subscriber.id == recipient.subscriber_id)
    return select(
        *(recipient[name] for name in Reader._fields),
        recipient.edition_id,
        eligible.order_by(None).with_only_columns(literal(1)).correlate(Recipient).exists(),
    )
