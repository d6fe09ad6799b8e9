"""The ledger's SQL: claim, write, renew; one statement each, the same for both databases.

Promise: every statement is atomic and changes only rows which the fence allows,
and ``write`` tells how many. The rows of a write are JSON parameters: one round
trip, and one call into the database during which Python's other threads run.
Intents and acceptances, which are nearly all of it, have statements of their own
that carry a row in one number and a reply; the rest shares a general one. Time is
the database's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
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
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from newsletter.db import later, now
from newsletter.delivery.changes import INTENT, Change
from newsletter.delivery.models import Delivery, DeliveryState, Send, SenderProcess, SendState
from newsletter.delivery.states import CLAIMABLE

LEASE_SECONDS: Final = 45  # with a sweep every 10 s, others go on within 60 s of a worker's end
MAX_REPLY: Final = 500  # the columns' lengths
MAX_RELAY: Final = 120
EPOCH_BITS: Final = 24  # seq and epoch travel as one number

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


class Claimed(NamedTuple):
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

    @property
    def key(self) -> int:
        """Return ``seq`` and ``epoch`` as one number that sorts by ``seq``."""
        return self.seq << EPOCH_BITS | self.epoch


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
    usual: dict[int, _Usual] = {}
    others: list[tuple[Ticket, Change]] = []
    for ticket, change in changes:
        if change is INTENT or change.to is DeliveryState.ACCEPTED:
            if ticket.send_id not in usual:
                usual[ticket.send_id] = _Usual([], {})
            usual[ticket.send_id].add(ticket, change)
        else:
            others.append((ticket, change))
    written = sum(
        _write_usual(connection, {"me": owner, "send": send_id, **given})
        for send_id, rows in usual.items()
        for given in rows.parameters()
    )
    if others:
        others.sort(key=lambda pair: (pair[0].send_id, pair[0].seq))
        rows = _json([_row(ticket, change) for ticket, change in others])
        written += connection.execute(_WRITE[connection.dialect.name], {"me": owner, "rows": rows}).rowcount
    return written


@dataclass(frozen=True, slots=True)
class _Usual:
    """The intents and acceptances of one send."""

    intents: list[int]
    accepted: dict[tuple[int | None, str | None], dict[int, str | None]]  # by code and relay: reply by key

    def add(self, ticket: Ticket, change: Change) -> None:
        if change is INTENT:
            self.intents.append(ticket.key)
        else:
            replies = self.accepted.setdefault((change.code, change.relay), {})
            replies[ticket.key] = change.reply and change.reply[:MAX_REPLY]

    def parameters(self) -> Iterator[dict[str, Any]]:
        """Return the parameters of as many statements as there are answers of a kind; the first has the intents too."""
        # In the order of the key: two writers that lock the same rows do so in the same order.
        asked = _json(sorted(self.intents))
        for (code, relay), replies in (self.accepted or {(None, None): {}}).items():
            yield {"asked": asked, "answered": _json(replies), "code": code, "relay": relay and relay[:MAX_RELAY]}
            asked = "[]"


def _write_usual(connection: Connection, given: dict[str, Any]) -> int:
    """Write intents and acceptances: on PostgreSQL in one statement, so in one round trip and one commit."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(_BOTH, given).scalar_one())
    return sum(connection.execute(statement, given).rowcount for statement in _EACH)


def held(connection: Connection, owner: int, tickets: Iterable[Ticket], state: DeliveryState) -> list[Ticket]:
    """Return those of the rows that are in ``state`` and still this owner's under the same epoch."""
    found = []
    for ticket in tickets:
        row = connection.execute(_HELD, {"s": ticket.send_id, "q": ticket.seq}).one_or_none()
        if row and (row.owner, row.epoch, row.state) == (owner, ticket.epoch, state):
            found.append(ticket)
    return found


def show_life(connection: Connection, owner: int, mark: str) -> int | None:
    """Tell that the owner is alive, and return how often it has told; None if there is no such owner."""
    renewals: int | None = connection.execute(_SHOW_LIFE, {"me": owner, "its_mark": mark}).scalar_one_or_none()
    return renewals


def renew(connection: Connection, owner: int, tickets: Sequence[Ticket]) -> list[Ticket]:
    """Renew the leases of rows that are in this owner's hands; return those that still are."""
    if not tickets:
        return []
    rows = f"[{','.join(f'[{one.send_id},{one.seq},{one.epoch}]' for one in tickets)}]"
    rows_left = connection.execute(_RENEW[connection.dialect.name], {"me": owner, "rows": rows})
    renewed = {(row.send_id, row.seq) for row in rows_left}
    return [one for one in tickets if (one.send_id, one.seq) in renewed]


def _row(ticket: Ticket, change: Change) -> tuple[int | float | str | None, ...]:
    """Return one row of the general write, in the order of ``_COLUMNS``."""
    return (
        *(ticket.send_id, ticket.seq, ticket.epoch, change.expected, change.to, change.attempts, change.delay),
        *(change.command, change.code, change.reply and change.reply[:MAX_REPLY]),
        change.relay and change.relay[:MAX_RELAY],
    )


_json: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


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


def _renew(rows: FromClause) -> ReturningUpdate[int, int]:
    in_hand = Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.SENDING))
    renewed = _fenced(_columns(rows)).where(in_hand).values(lease_until=later(LEASE_SECONDS))
    return renewed.returning(Delivery.send_id, Delivery.seq)


def _write(rows: FromClause) -> Update:
    x = _columns(rows)
    state = type_coerce(Delivery.state, String)
    # The lease ran out and the row became uncertain, then the reply came after all: it is evidence, and an end,
    # also if it says "later": the send may have ended, and nobody would look at a deferred row again but a person.
    late = and_(
        state == DeliveryState.UNCERTAIN.value,
        x.expected == DeliveryState.SENDING.value,
        x.to != DeliveryState.PENDING.value,
    )
    return (
        _fenced(x)
        .where(or_(state == x.expected, late))
        .values(
            state=case((and_(late, x.to == DeliveryState.DEFERRED.value), DeliveryState.REFUSED.value), else_=x.to),
            attempt=Delivery.attempt + x.attempts,
            not_before=later(x.delay),
            lease_until=null(),
            outcome_at=now(),
            command=x.command,
            code=x.code,
            reply=x.reply,
            relay=x.relay,
        )
    )


def _by_key(given: FromClause, key: ColumnElement[Any], *more: ColumnElement[Any]) -> Any:  # noqa: ANN401 - columns by name
    """Return the columns of one send's rows that are told by one number each."""
    number = key.cast(BigInteger)
    send_id = bindparam("send", type_=BigInteger()).label("send_id")
    seq = number.op(">>")(literal_column(str(EPOCH_BITS))).cast(Integer).label("seq")
    epoch = number.op("&")(literal_column(str((1 << EPOCH_BITS) - 1))).cast(Integer).label("epoch")
    # The offset keeps both planners from taking the query apart: first the keys, then each row by its key.
    return select(send_id, seq, epoch, *more).select_from(given).offset(0).subquery("x").c


def _once(value: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Reckon a value once a statement: SQLite would write the same instant out for every row."""
    return select(value).scalar_subquery()


def _intend(keys: FromClause) -> Update:
    """Make claimed rows sending; ``asked`` is ``[key, ...]``."""
    state = type_coerce(Delivery.state, String)
    # The commit happened and its answer was lost with the connection: the same intent once more.
    again = state == DeliveryState.SENDING.value
    return (
        _fenced(_by_key(keys, keys.c.value))
        .where(or_(state == DeliveryState.CLAIMED.value, again))
        .values(
            state=DeliveryState.SENDING,
            attempt=Delivery.attempt + case((again, 0), else_=INTENT.attempts),
            lease_until=_once(later(LEASE_SECONDS)),
            intent_at=_once(now()),
            not_before=null(),
            command=null(),
            code=null(),
            reply=null(),
            relay=null(),
        )
    )


def _accept(replies: FromClause) -> Update:
    """Make sending rows accepted; ``answered`` is ``{key: reply, ...}``."""
    x = _by_key(replies, replies.c.key, replies.c.value.label("reply"))
    state = type_coerce(Delivery.state, String)
    # Uncertain: the lease ran out, then the reply came after all.
    return (
        _fenced(x)
        .where(or_(state == DeliveryState.SENDING.value, state == DeliveryState.UNCERTAIN.value))
        .values(
            state=DeliveryState.ACCEPTED,
            not_before=null(),
            lease_until=null(),
            outcome_at=_once(now()),
            command=null(),
            code=bindparam("code", type_=Integer()),
            reply=x.reply,
            relay=bindparam("relay", type_=String()),
        )
    )


def _together(intend: Update, accept: Update) -> Select[*tuple[Any, ...]]:
    """Join two UPDATEs into one statement that counts their rows."""
    changed = [one.returning(Delivery.seq).cte(name) for one, name in ((intend, "intended"), (accept, "accepted"))]
    counts = [select(func.count()).select_from(rows).scalar_subquery() for rows in changed]
    return select(counts[0] + counts[1])


_CLAIM: Final = _claim()
_CLAIM_LANES: Final = _claim(Delivery.lane.in_(bindparam("lanes", expanding=True)))
_GIVEN: Final = bindparam("rows", type_=String())
_ROWS: Final[dict[str, FromClause]] = {
    "postgresql": func.jsonb_array_elements(_GIVEN.cast(JSONB)).table_valued("value", name="given"),
    "sqlite": func.json_each(_GIVEN).table_valued("value", name="given"),
}
_WRITE: Final = {dialect: _write(rows) for dialect, rows in _ROWS.items()}
_RENEW: Final = {dialect: _renew(rows) for dialect, rows in _ROWS.items()}
_ASKED: Final = bindparam("asked", type_=String())
_ANSWERED: Final = bindparam("answered", type_=String())
_BOTH: Final = _together(
    _intend(func.json_array_elements_text(_ASKED.cast(JSON)).table_valued("value", name="given")),
    _accept(func.json_each_text(_ANSWERED.cast(JSON)).table_valued("key", "value", name="given")),
)
_EACH: Final = (
    _intend(func.json_each(_ASKED).table_valued("value", name="given")),
    _accept(func.json_each(_ANSWERED).table_valued("key", "value", name="given")),
)
_SHOW_LIFE: Final = (
    update(SenderProcess)
    .where(SenderProcess.id == bindparam("me"), SenderProcess.mark == bindparam("its_mark"))
    .values(seen_at=now(), renewals=SenderProcess.renewals + 1)
    .returning(SenderProcess.renewals)
)
_HELD: Final = select(Delivery.owner, Delivery.epoch, Delivery.state).where(
    Delivery.send_id == bindparam("s"), Delivery.seq == bindparam("q")
)
