"""Where a send and a delivery may go from where they stand: two tables, nothing else.

Promise: every UPDATE of a state in this room takes its expected states from here,
so that what the tables do not allow cannot happen. Who may make a move (an owner
with the right epoch, anyone after the lease, a person) is for the caller to fence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from newsletter.delivery.models import DeliveryState, SendState

SEND: Final[Mapping[SendState, frozenset[SendState]]] = {
    SendState.SCHEDULED: frozenset({SendState.FREEZING, SendState.MISSED, SendState.CANCELLED}),
    SendState.FREEZING: frozenset({SendState.SENDING}),  # one transaction: a crash leaves it scheduled
    SendState.SENDING: frozenset({SendState.PAUSED, SendState.COMPLETE, SendState.CANCELLED}),
    SendState.PAUSED: frozenset({SendState.SENDING, SendState.CANCELLED}),
    SendState.COMPLETE: frozenset({SendState.SENDING}),  # a retry, or the policy for what was uncertain
    SendState.MISSED: frozenset({SendState.SCHEDULED, SendState.CANCELLED}),
    SendState.CANCELLED: frozenset({SendState.SCHEDULED}),  # if it was called off before it began
}

DELIVERY: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    # Accepted without a claim only by the relay's own log, after a backup was restored.
    DeliveryState.PENDING: frozenset({DeliveryState.CLAIMED, DeliveryState.SKIPPED, DeliveryState.ACCEPTED}),
    DeliveryState.CLAIMED: frozenset(
        {DeliveryState.SENDING, DeliveryState.PENDING, DeliveryState.SKIPPED, DeliveryState.REFUSED}
    ),
    # Back to pending only by the owner, who knows that nothing was written; after the lease: uncertain.
    DeliveryState.SENDING: frozenset(
        {
            DeliveryState.ACCEPTED,
            DeliveryState.DEFERRED,
            DeliveryState.REFUSED,
            DeliveryState.UNCERTAIN,
            DeliveryState.PENDING,
        }
    ),
    DeliveryState.ACCEPTED: frozenset(),
    DeliveryState.DEFERRED: frozenset(
        {DeliveryState.CLAIMED, DeliveryState.PENDING, DeliveryState.SKIPPED, DeliveryState.ACCEPTED}
    ),
    DeliveryState.REFUSED: frozenset({DeliveryState.PENDING}),  # a person's retry
    # Evidence, a late reply among it, ends the doubt; back to pending only by a decision.
    DeliveryState.UNCERTAIN: frozenset({DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.PENDING}),
    DeliveryState.SKIPPED: frozenset(),
}

CLAIMABLE: Final = (DeliveryState.PENDING, DeliveryState.DEFERRED)
UNFINISHED: Final = (*CLAIMABLE, DeliveryState.CLAIMED, DeliveryState.SENDING)  # a send with one of these goes on

State = TypeVar("State", SendState, DeliveryState)


def sources(table: Mapping[State, frozenset[State]], to: State) -> list[State]:
    """Return the states from which ``to`` may be reached."""
    return [state for state, targets in table.items() if to in targets]
