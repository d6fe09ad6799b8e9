"""The ledger's SQL: claim, write, renew; one statement each, the same for both databases.

Promise: each function is one atomic statement that changes only rows which the
fence allows, and tells how many. The rows of a write are one JSON
parameter: one round trip, and one call into the database during which Python's
other threads run. Time is the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    String,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from newsletter.db import later, now
from newsletter.delivery.changes import INTENT, Change
from newsletter.delivery.models import Delivery, DeliveryState, Send, SenderProcess, SendState
from newsletter.delivery.states import CLAIMABLE

LEASE_SECONDS: Final = 60
MAX_REPLY: Final = 500  # the columns' lengths
MAX_RELAY: Final = 120

# The values of one row of a write, in the order in which ``_row`` writes them.
_COLUMNS: Final[dict[str, TypeEngine[Any]]] = {
    "send_id": BigInteger(),
    "seq": Integer(),
    "epoch": Integer(),
    "expected": String(),  # the state it must be in
    "to": String(),  # the state it goes to
    "attempts": Integer(),  # to add
    "delay": Float(),  # seconds until it is due again
    "command": String(),
    "code": Integer(),
    "reply": String(),
    "relay": String(),
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that was claimed; ``attempt`` is how often it was tried before."""

    seq: int
    epoch: int
    attempt: int
    lane: int


@dataclass(slots=True, eq=False)
class Ticket:
    """One row in its owner's hands: what fences every write to it. Two tickets are never equal."""

    send_id: int
    seq: int
    epoch: int


def claim(
    connection: Connection, owner: int, send_id: int, after: int, limit: int, lanes: Sequence[int] = ()
) -> list[Claimed]:
    """Claim at most ``limit`` due rows of a running send, walking the primary key from ``after``.

    Only those in ``lanes``; empty means all.
    """
    values: dict[str, Any] = {"me": owner, "send": send_id, "after": after, "limit": limit}
    rows = connection.execute(_CLAIM_LANES, values | {"lanes": lanes}) if lanes else connection.execute(_CLAIM, values)
    return sorted((Claimed(*row) for row in rows), key=lambda claimed: claimed.seq)


def write(connection: Connection, owner: int, changes: Sequence[tuple[Ticket, Change]]) -> int:
    """Apply changes to distinct rows and return how many rows were still this owner's."""
    # In the order of the key: two writers that lock the same rows do so in the same order.
    ordered = sorted(changes, key=lambda pair: (pair[0].send_id, pair[0].seq))
    rows = f"[{','.join(_row(ticket, change) for ticket, change in ordered)}]"
    return connection.execute(_WRITE[connection.dialect.name], {"me": owner, "rows": rows}).rowcount


def held(connection: Connection, owner: int, tickets: Iterable[Ticket], state: DeliveryState) -> list[Ticket]:
    """Return those of the rows that are in ``state`` and still this owner's under the same epoch."""
    found = []
    for ticket in tickets:
        row = connection.execute(_HELD, {"s": ticket.send_id, "q": ticket.seq}).one_or_none()
        if row and (row.owner, row.epoch, row.state) == (owner, ticket.epoch, state):
            found.append(ticket)
    return found


def renew(connection: Connection, owner: int, tickets: Sequence[Ticket]) -> None:
    """Renew the leases of rows in this owner's hands, and tell that the owner is alive."""
    connection.execute(update(SenderProcess).where(SenderProcess.id == owner).values(seen_at=now()))
    if tickets:
        rows = f"[{','.join(f'[{one.send_id},{one.seq},{one.epoch}]' for one in tickets)}]"
        connection.execute(_RENEW[connection.dialect.name], {"me": owner, "rows": rows})


def _row(ticket: Ticket, change: Change) -> str:
    """Return one row of a write as a JSON array; written by hand, since this is done for every message."""
    if change is INTENT:
        return f"[{ticket.send_id},{ticket.seq},{ticket.epoch},{_INTENT}]"
    reply = change.reply and change.reply[:MAX_REPLY]
    rest = (change.delay, change.command, change.code, reply, change.relay and change.relay[:MAX_RELAY])
    return (
        f'[{ticket.send_id},{ticket.seq},{ticket.epoch},"{change.expected}","{change.to}",{change.attempts},'
        + ",".join(["null" if one is None else quoted(one) if isinstance(one, str) else str(one) for one in rest])
        + "]"
    )


def _claim(*conditions: ColumnElement[bool]) -> Update:
    # The lock on the send makes a pause wait for this claim, or this claim for the pause.
    running = (
        select(Send.id)
        .where(Send.id == bindparam("send"), Send.state == SendState.SENDING)
        .with_for_update(read=True)
        .cte("running")
    )
    due = (
        select(Delivery.seq)
        .where(
            Delivery.send_id == select(running.c.id).scalar_subquery(),
            Delivery.seq > bindparam("after"),
            Delivery.state.in_(CLAIMABLE),
            or_(Delivery.not_before.is_(None), Delivery.not_before <= now()),
            *conditions,
        )
        .order_by(Delivery.seq)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(Delivery)
        .where(Delivery.send_id == bindparam("send"), Delivery.seq.in_(select(due.c.seq)))
        .values(
            state=DeliveryState.CLAIMED,
            owner=bindparam("me"),
            epoch=Delivery.epoch + 1,
            lease_until=later(LEASE_SECONDS),
        )
        .returning(Delivery.seq, Delivery.epoch, Delivery.attempt, Delivery.lane)
    )


def _columns(rows: FromClause) -> Any:  # noqa: ANN401 - columns by name, which no type can tell
    """Return the values of ``rows``, whose column ``value`` holds one JSON array for each row, as columns."""
    values = (
        rows.c.value.op("->>")(literal_column(str(n))).cast(kind).label(name)
        for n, (name, kind) in enumerate(_COLUMNS.items())
    )
    # A subquery, not a CTE: Python's sqlite3 counts the rows of a statement only if it begins with UPDATE.
    return select(*values).subquery("x").c


def _fenced(x: Any) -> Update:  # noqa: ANN401 - likewise
    """Begin an UPDATE of the rows that are still this owner's under the same epoch."""
    same = (Delivery.send_id == x.send_id, Delivery.seq == x.seq, Delivery.epoch == x.epoch)
    return update(Delivery).where(*same, Delivery.owner == bindparam("me"))


def _renew(rows: FromClause) -> Update:
    in_hand = Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.SENDING))
    return _fenced(_columns(rows)).where(in_hand).values(lease_until=later(LEASE_SECONDS))


def _write(rows: FromClause) -> Update:
    x = _columns(rows)
    state = type_coerce(Delivery.state, String)
    intent = x.to == DeliveryState.SENDING.value
    # The commit happened and its answer was lost with the connection: the same intent once more.
    again = and_(intent, state == DeliveryState.SENDING.value)
    # The lease ran out and the row became uncertain, then the reply came after all: it is evidence.
    late = and_(
        state == DeliveryState.UNCERTAIN.value,
        x.expected == DeliveryState.SENDING.value,
        x.to != DeliveryState.PENDING.value,
    )
    return (
        _fenced(x)
        .where(or_(state == x.expected, again, late))
        .values(
            state=x.to,
            attempt=Delivery.attempt + case((again, 0), else_=x.attempts),
            not_before=later(x.delay),
            lease_until=case((intent, later(LEASE_SECONDS)), else_=null()),
            intent_at=case((intent, now()), else_=Delivery.intent_at),
            outcome_at=case((intent, Delivery.outcome_at), else_=now()),
            command=x.command,
            code=x.code,
            reply=x.reply,
            relay=x.relay,
        )
    )


_INTENT: Final = f'"{INTENT.expected}","{INTENT.to}",{INTENT.attempts},null,null,null,null,null'
_CLAIM: Final = _claim()
_CLAIM_LANES: Final = _claim(Delivery.lane.in_(bindparam("lanes", expanding=True)))
_GIVEN: Final = bindparam("rows", type_=String())
_ROWS: Final[dict[str, FromClause]] = {
    "postgresql": func.jsonb_array_elements(_GIVEN.cast(JSONB)).table_valued("value", name="given"),
    "sqlite": func.json_each(_GIVEN).table_valued("value", name="given"),
}
_WRITE: Final = {dialect: _write(rows) for dialect, rows in _ROWS.items()}
_RENEW: Final = {dialect: _renew(rows) for dialect, rows in _ROWS.items()}
_HELD: Final = select(Delivery.owner, Delivery.epoch, Delivery.state).where(
    Delivery.send_id == bindparam("s"), Delivery.seq == bindparam("q")
)
