"""Stores a batch of opens and clicks in one transaction, judged with what the ledger knows.

Promise: a few statements per send, whatever the size of the batch. A hit of
nobody (``seq`` 0), or of a reader who turned tracking off, is stored without the
reader. Bursts of links are called a scanner's, also when they span two batches.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from newsletter.delivery import settle
from newsletter.delivery.models import Delivery, DeliveryState, Recipient
from newsletter.events.models import Event, EventKind, Verdict
from newsletter.events.record import Fact
from newsletter.events.spill import Hit
from newsletter.events.verdicts import BURST, BURST_LINKS, with_time


@dataclass(frozen=True, slots=True)
class _Copy:
    subscriber_id: int
    tracking: bool
    accepted_at: dt.datetime | None
    uncertain: bool  # and the reader lets us look


def store(connection: Connection, hits: Sequence[Hit]) -> None:
    """Write a batch of at most a few thousand hits."""
    for send_id, group in groupby(sorted(hits, key=lambda hit: hit.send_id), key=lambda hit: hit.send_id):
        mine = list(group)
        copies = _copies(connection, send_id, {hit.seq for hit in mine if hit.seq})
        facts = [_fact(hit, copies.get(hit.seq)) for hit in mine if not hit.seq or hit.seq in copies]
        _insert(connection, facts)
        _settle(connection, send_id, mine, copies)
        _find_bursts(connection, send_id, [fact for fact in facts if fact.kind is EventKind.CLICKED and fact.seq])


def _copies(connection: Connection, send_id: int, seqs: set[int]) -> dict[int, _Copy]:
    if not seqs:
        return {}
    rows = connection.execute(
        select(Recipient.seq, Recipient.subscriber_id, Recipient.tracking, Delivery.outcome_at, Delivery.state)
        .join(Delivery, (Delivery.send_id == Recipient.send_id) & (Delivery.seq == Recipient.seq))
        .where(Recipient.send_id == send_id, Recipient.seq.in_(seqs))
    )
    return {
        seq: _Copy(subscriber_id, tracking, at, tracking and state is DeliveryState.UNCERTAIN)
        for seq, subscriber_id, tracking, at, state in rows
    }


def _fact(hit: Hit, copy: _Copy | None) -> Fact:
    verdict = hit.verdict
    if copy:
        verdict = with_time(verdict, hit.at, copy.accepted_at, clicked=hit.kind is EventKind.CLICKED)
    known = copy is not None and copy.tracking
    return Fact(
        hit.kind,
        hit.at,
        send_id=hit.send_id,
        seq=hit.seq if known else None,
        subscriber_id=copy.subscriber_id if copy and known else None,
        link=hit.link or None,
        verdict=verdict,
        origin=hit.mark,
    )


def _settle(connection: Connection, send_id: int, hits: Sequence[Hit], copies: Mapping[int, _Copy]) -> None:
    """Note that copies arrived: whoever looks at one, person or machine, shows it."""
    for kind in (EventKind.OPENED, EventKind.CLICKED):
        seqs = {hit.seq for hit in hits if hit.kind is kind and hit.seq in copies and copies[hit.seq].uncertain}
        if seqs:
            settle(connection, send_id, seqs, evidence=str(kind))


def _insert(connection: Connection, facts: Sequence[Fact]) -> None:
    fresh = [fact.row() for fact in facts if fact.origin is None]
    replayed = [fact.row() for fact in facts if fact.origin is not None]
    if fresh:
        connection.execute(insert(Event), fresh)
    if replayed:
        once = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(once(Event).on_conflict_do_nothing(index_elements=["origin"]), replayed)


def _find_bursts(connection: Connection, send_id: int, clicks: Sequence[Fact]) -> None:
    """Call the clicks of a copy a scanner's when too many links were followed within ``BURST``."""
    if not clicks:
        return
    since = min(click.at for click in clicks) - BURST
    until = max(click.at for click in clicks)
    clicked = (Event.send_id == send_id, Event.kind == EventKind.CLICKED, Event.at >= since, Event.at <= until)
    many = connection.execute(
        select(Event.seq)
        .where(*clicked, Event.seq.in_({click.seq for click in clicks}))
        .group_by(Event.seq)
        .having(func.count(Event.link.distinct()) >= BURST_LINKS)
    ).scalars()
    suspects = list(many)
    if not suspects:
        return
    rows = connection.execute(
        select(Event.id, Event.seq, Event.at, Event.link)
        .where(*clicked, Event.seq.in_(suspects))
        .order_by(Event.seq, Event.at)
    ).all()
    machine: set[int] = set()
    for _, group in groupby(rows, key=lambda row: row.seq):
        machine |= _burst([(row.id, row.at, row.link) for row in group])
    if machine:
        connection.execute(update(Event).where(Event.id.in_(machine)).values(verdict=Verdict.SCANNER))


def _burst(clicks: Sequence[tuple[int, dt.datetime, int]]) -> set[int]:
    """Return the ids of the clicks, in order of time, that lie in a burst."""
    found: set[int] = set()
    first = 0
    for last in range(len(clicks)):
        while clicks[last][1] - clicks[first][1] > BURST:
            first += 1
        window = clicks[first : last + 1]
        if len({link for _, _, link in window}) >= BURST_LINKS:
            found.update(ident for ident, _, _ in window)
    return found
