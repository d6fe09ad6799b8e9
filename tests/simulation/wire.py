"""The relay's side of the simulation: which bodies were written for whom, and what the relay made of each."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, field

from newsletter.delivery.transports.outcomes import Accepted, Deferred, Outcome, Refused, Reply, Uncertain

Key = tuple[int, int]  # send, seq


class Fate(enum.Enum):
    """What the relay does with a body: whether it takes it, and what comes back."""

    ACCEPTED = (True, Accepted(Reply(250, "2.0.0 Ok: queued")))
    REFUSED = (False, Refused("DATA", Reply(554, "5.7.1 No")))
    NOT_UNDERSTOOD = (False, Refused("DATA", Reply(503, "5.5.1 What?")))
    DEFERRED = (False, Deferred("DATA", Reply(451, "4.3.0 Later")))
    TAKEN_WITHOUT_A_WORD = (True, Uncertain("the server closed the connection"))
    DROPPED_WITHOUT_A_WORD = (False, Uncertain("the server closed the connection"))

    @property
    def taken(self) -> bool:
        return self.value[0]

    @property
    def outcome(self) -> Outcome:
        return self.value[1]


# What can happen before the body.
BEFORE_BODY = {
    "refused at RCPT": Refused("RCPT", Reply(550, "5.1.1 No such user")),
    "refused at MAIL": Refused("MAIL", Reply(530, "5.7.0 Log in first")),
    "deferred at RCPT": Deferred("RCPT", Reply(451, "4.7.1 Greylisted")),
    "connection lost": Deferred(None, Reply(0, "the server closed the connection")),
}


@dataclass(eq=False)
class Body:
    """One body that was written. ``known`` once the ledger holds that the relay did not take it."""

    fate: Fate
    known: bool = False


@dataclass
class Wire:
    """All bodies by delivery, and how many of each may stand without a recorded refusal."""

    bodies: dict[Key, list[Body]] = field(default_factory=lambda: defaultdict(list))
    _permitted: dict[Key, int] = field(default_factory=lambda: defaultdict(lambda: 1))

    def write(self, key: Key, fate: Fate) -> Body:
        """A body leaves: never a second one, unless the first was refused or somebody decided so."""
        assert self.doubtful(key) < self._permitted[key], f"{key} gets it twice and nobody decided that"
        body = Body(fate)
        self.bodies[key].append(body)
        return body

    def doubtful(self, key: Key) -> int:
        """How many bodies the reader may have got, for all that the ledger knows."""
        return sum(not body.known for body in self.bodies[key])

    def decided_to_send_again(self, key: Key) -> None:
        """A person or the publication's policy accepts that this reader may get it twice."""
        self._permitted[key] = self.doubtful(key) + 1

    def served(self, key: Key) -> bool:
        """Whether the relay took a body for this reader."""
        return any(body.fate.taken for body in self.bodies[key])
