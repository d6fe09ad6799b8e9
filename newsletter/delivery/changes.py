"""What an attempt does to its row in the ledger: one immutable change for each thing that can happen.

Promise: a pure mapping from what happened to the row's next state, within the
table of ``states``. It knows the publication's patience (back-off, retry window)
and no database; the ledger writes what it returns.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from newsletter.delivery.models import DeliveryState
from newsletter.delivery.pace.faults import blames_sender
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Outcome, Refused, Reply, Uncertain

# Not understood, out of order, not logged in: about the sender, whatever command it answers (RFC 5321 4.2.2, RFC 4954).
SENDERS_FAULT: Final = frozenset({500, 502, 503, 504, 530, 534, 535, 538})
MIN_ATTEMPTS: Final = 5  # before a retry window that has passed ends the attempts


class Change(NamedTuple):
    """The next state of a row that is now ``expected``, and what is noted with it (texts are cut to their columns)."""

    to: DeliveryState
    expected: DeliveryState
    delay: float | None = None  # seconds until the row is due again
    attempts: int = 0  # what is added to the count
    command: str | None = None
    code: int | None = None
    reply: str | None = None
    relay: str | None = None


INTENT: Final = Change(DeliveryState.SENDING, DeliveryState.CLAIMED, attempts=1)
RELEASE_CLAIM: Final = Change(DeliveryState.PENDING, DeliveryState.CLAIMED)
RELEASE_INTENT: Final = Change(DeliveryState.PENDING, DeliveryState.SENDING, attempts=-1)  # nothing was written


@dataclass(frozen=True, slots=True)
class Patience:
    """When a deferred delivery is tried again: twice as late each time, with jitter."""

    first: float = 20.0  # seconds: a greylist that only wants to see us again is satisfied by it
    longest: float = 3600.0
    lost: float = 15.0  # after a connection that broke before the body: nobody said "later"

    def delay(self, attempt: int) -> float:
        """Return the seconds until the attempt after ``attempt`` (counted from 1)."""
        return min(self.first * 2.0 ** (min(attempt, 16) - 1), self.longest) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, keeps no secret


def skipped(reason: str) -> Change:
    """The reader may no longer be mailed."""
    return Change(DeliveryState.SKIPPED, DeliveryState.CLAIMED, reply=reason)


def unfit(reason: str) -> Change:
    """The message cannot be made for this reader."""
    return Change(DeliveryState.REFUSED, DeliveryState.CLAIMED, reply=f"not rendered: {reason}")


def of_outcome(outcome: Outcome, *, attempt: int, relay: str, window_left: float, patience: Patience) -> Change:
    """Return what an attempt's outcome does to its row.

    ``attempt`` counts from 1; ``window_left`` is what remains of the send's retry
    window, in seconds. A 5xx at MAIL, one of ``SENDERS_FAULT`` anywhere, and a
    provider's refusal of the sender are about us, so they defer: a wrong password, or
    a listed address, must not cost a reader the issue.
    """
    sending = DeliveryState.SENDING
    if isinstance(outcome, Accepted):
        return _noted(DeliveryState.ACCEPTED, outcome.reply, None, relay)
    if isinstance(outcome, Uncertain):
        return Change(DeliveryState.UNCERTAIN, sending, reply=outcome.why, relay=relay)
    if isinstance(outcome, Refused) and not _ours(outcome):
        return _noted(DeliveryState.REFUSED, outcome.reply, outcome.command, relay)
    return _deferral(outcome, attempt, relay, window_left, patience)


def _ours(refused: Refused) -> bool:
    return refused.command == "MAIL" or refused.reply.code in SENDERS_FAULT or blames_sender(refused)


def _deferral(outcome: Deferred | Refused, attempt: int, relay: str, window_left: float, patience: Patience) -> Change:
    delay = patience.delay(attempt) if outcome.command else patience.lost * random.uniform(0.8, 1.2)  # noqa: S311 - likewise
    if delay <= window_left or attempt < MIN_ATTEMPTS:
        return _noted(DeliveryState.DEFERRED, outcome.reply, outcome.command, relay, delay)
    # Without a 5xx in the code: what kept us from sending for so long was ours, and no bounce.
    code = 0 if outcome.reply.permanent else outcome.reply.code
    expired = Reply(code, f"expired after {attempt} attempts: {outcome.reply}")
    return _noted(DeliveryState.REFUSED, expired, None, relay)


def _noted(to: DeliveryState, reply: Reply, command: str | None, relay: str, delay: float | None = None) -> Change:
    return Change(
        to, DeliveryState.SENDING, delay, 0, command, reply.code or None, reply.text.replace("\n", " "), relay
    )
