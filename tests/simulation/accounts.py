"""What the simulation knows of the ledger: its rows as last seen, and which changes are right.

Every step of the simulation is followed by one reading of the ledger. A change that
the step does not explain, a transition that is not in the table, an epoch that falls,
a row that should have changed and did not: each is an AssertionError.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from simulation.wire import Key
from sqlalchemy import select

from newsletter.db import Database
from newsletter.delivery import states
from newsletter.delivery.changes import INTENT, Change
from newsletter.delivery.models import Delivery, DeliveryState, Send, SendState
from newsletter.delivery.statements import LEASE_SECONDS, Ticket

S = DeliveryState
COLUMNS = ("send_id", "seq", "state", "owner", "epoch", "attempt", "not_before", "lease_until", "outcome_at", "reply")


@dataclass(frozen=True)
class Row:
    """One row of the ledger."""

    send_id: int
    seq: int
    state: DeliveryState
    owner: int | None
    epoch: int
    attempt: int
    not_before: dt.datetime | None
    lease_until: dt.datetime | None
    outcome_at: dt.datetime | None
    reply: str | None

    @property
    def key(self) -> Key:
        return self.send_id, self.seq

    def due(self, moment: dt.datetime) -> bool:
        return self.state in states.CLAIMABLE and (self.not_before is None or self.not_before <= moment)

    def belongs_to(self, owner: int, ticket: Ticket) -> bool:
        return (self.owner, self.epoch) == (owner, ticket.epoch)


Explains = Callable[[Row, Row], bool]  # whether a step may turn the one into the other


class Accounts:
    """The ledger as last read."""

    def __init__(self, database: Database, moves: Counter[tuple[DeliveryState, DeliveryState]]) -> None:
        self._database, self._moves = database, moves
        self.rows: dict[Key, Row] = {}
        self.sends: dict[int, SendState] = {}

    def read(self) -> dict[Key, Row]:
        """Read all rows and sends; the sums and the ends hold at every moment."""
        with self._database.read() as session:
            found = [Row(*row) for row in session.execute(select(*(getattr(Delivery, name) for name in COLUMNS)))]
            sends = session.scalars(select(Send)).all()
        rows = {row.key: row for row in found}
        for send in sends:
            assert sum(row.send_id == send.id for row in found) == send.audience, "the states add up to the audience"
            before = self.sends.get(send.id, send.state)
            path = before is send.state or send.state in _reachable(before)
            path = path and (before is not SendState.CANCELLED or send.edition_id is None or send.state is before)
            assert path, f"a send went from {before} to {send.state}"
            assert send.state is not SendState.FREEZING, "the freeze is one transaction"
            if send.state in (SendState.COMPLETE, SendState.CANCELLED) and not send.unsettled:
                lost = [row for row in found if row.send_id == send.id and row.state in states.UNFINISHED]
                assert not lost, f"a send has ended and nobody will ever look at {lost}"
            self.sends[send.id] = send.state
        return rows

    def explained(self, explains: Explains) -> None:
        """Read again: each row that changed is one that the step explains, and moved along the table."""
        found = self.read()
        assert self.rows.keys() <= found.keys()
        for key, before in self.rows.items():
            after = found[key]
            if before == after:
                continue
            moved = before.state is after.state or after.state in states.DELIVERY[before.state]
            assert moved, f"{before.state} to {after.state} is not in the table: {before}"
            assert after.epoch >= before.epoch, "epochs only grow"
            assert explains(before, after), f"nothing explains {before} -> {after}"
        self._keep(found)

    def committed(self, owner: int, changes: Iterable[tuple[Ticket, Change]], moment: dt.datetime, *, partly=False):
        """Read again after a commit: exactly what the fence allows has changed, if ``partly`` not all of it yet."""
        found = self.read()
        expected = dict(self.rows)
        for ticket, change in changes:
            key = (ticket.send_id, ticket.seq)
            if self.rows[key].belongs_to(owner, ticket):
                expected[key] = _written(self.rows[key], change, moment)
        for key, row in found.items():
            shown = _comparable(row)
            right = shown == _comparable(expected[key]) or (partly and row == self.rows[key])
            assert right, f"{self.rows[key]} became {row}, not {expected[key]}"
        self._keep(found)

    def _keep(self, found: dict[Key, Row]) -> None:
        """Take what was read as what is known, and count the transitions that were met."""
        for key, before in self.rows.items():
            if found[key].state is not before.state:
                self._moves[before.state, found[key].state] += 1
        self.rows = found

    def of(self, send_id: int) -> list[Row]:
        return [row for row in self.rows.values() if row.send_id == send_id]


def _written(row: Row, change: Change, moment: dt.datetime) -> Row:
    """What a change does to a row that belongs to its writer."""
    lease = moment + dt.timedelta(seconds=LEASE_SECONDS)
    if change is INTENT:
        if row.state is S.SENDING:  # the same once more: its answer was lost
            return replace(row, lease_until=lease)
        granted = replace(row, state=S.SENDING, attempt=row.attempt + 1, lease_until=lease, not_before=None)
        return granted if row.state is S.CLAIMED else row
    late = row.state is S.UNCERTAIN and change.expected is S.SENDING and change.to is not S.PENDING
    if row.state is not change.expected and not late:
        return row
    # What is uncertain has an end or stays: nobody waits for it any more.
    to = S.REFUSED if late and change.to is S.DEFERRED else change.to
    due = None if change.delay is None else moment + dt.timedelta(seconds=change.delay)
    return replace(
        row, state=to, attempt=row.attempt + change.attempts, lease_until=None, not_before=due, outcome_at=moment
    )


def _comparable(row: Row) -> Row:
    """Without what a commit rounds or only notes."""
    due = row.not_before and row.not_before.replace(microsecond=0)
    return replace(row, reply=None, not_before=due)


def _reachable(state: SendState) -> set[SendState]:
    seen: set[SendState] = set()
    todo = {state}
    while todo:
        todo = set().union(*(states.SEND[one] for one in todo)) - seen
        seen |= todo
    return seen
