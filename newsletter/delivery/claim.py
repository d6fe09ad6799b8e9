"""From claimed rows to jobs: who the readers are, and who of them may no longer be mailed.

Promise: the rows stay as the ledger claimed them; a reader who left, was
suppressed or paused since the freeze comes back with the reason and is not made
into a job. It reads only, in a thread beside the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, select
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
    head = frame.letterhead
    rows = {row.seq: row for statement in _lookups(head.send_id, claimed) for row in session.execute(statement)}
    reasons = audience.ineligible(session, head.publication_id, [rows[one.seq].subscriber_id for one in claimed])
    jobs, skipped = [], []
    for one in claimed:
        row = rows[one.seq]
        ticket = Ticket(head.send_id, one.seq, one.epoch)
        if reason := reasons.get(row.subscriber_id):
            skipped.append((ticket, reason))
            continue
        frame.prepare(session, row.edition_id)
        reader = Reader(
            one.seq, row.subscriber_id, row.address, row.first_name, row.last_name, row.attributes, row.tracking
        )
        jobs.append(Job(frame, ticket, one.attempt + 1, row.edition_id, reader))
    return Loaded(jobs, skipped)


def _lookups(send_id: int, claimed: Sequence[Claimed]) -> list[Select[Any]]:
    """Return one range for rows that lie together, which is usual, else lists of rows."""
    whole = select(
        Recipient.seq,
        Recipient.subscriber_id,
        Recipient.edition_id,
        Recipient.address,
        Recipient.first_name,
        Recipient.last_name,
        Recipient.attributes,
        Recipient.tracking,
    ).where(Recipient.send_id == send_id)
    first, last = claimed[0].seq, claimed[-1].seq
    if last - first < 2 * len(claimed):
        return [whole.where(Recipient.seq.between(first, last))]
    seqs = [one.seq for one in claimed]
    return [
        whole.where(Recipient.seq.in_(seqs[start : start + ASK_AT_ONCE])) for start in range(0, len(seqs), ASK_AT_ONCE)
    ]
