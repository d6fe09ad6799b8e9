"""A sending process of the simulation: the product's ledger, claims and changes, with hands that are moved by rules.

What the event loop of the product keeps in its head (jobs, granted intents, bodies
whose reply is awaited) is kept here in plain lists, so that a death is forgetting
them, and a commit happens when a rule says so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulation.accounts import Accounts
from simulation.clock import Clock
from simulation.wire import Body, Fate, Wire

from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import Patience
from newsletter.delivery.changes import INTENT, RELEASE_CLAIM, RELEASE_INTENT, Change, of_outcome, skipped, unfit
from newsletter.delivery.claim import load
from newsletter.delivery.frames import STALE_SECONDS, Frame, Job, running
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.statements import Claimed, Ticket
from newsletter.delivery.transports.outcomes import Outcome

FAR: float = 1e6  # seconds of a retry window that is not over


@dataclass(eq=False)
class Held:
    """A job in a worker's hands, and when its lease was last known to be fresh."""

    job: Job
    since: dt.datetime
    body: Body | None = None


@dataclass
class Outbox:
    """What is to go into the next commit."""

    changes: list[tuple[Ticket, Change]] = field(default_factory=list)
    bodies: list[tuple[Ticket, Body]] = field(
        default_factory=list
    )  # of those whose reply said that they were not taken


class Worker:
    """One owner of claims."""

    def __init__(
        self, owner: int, database: Database, settings: Settings, accounts: Accounts, wire: Wire, clock: Clock
    ) -> None:
        self.owner, self.alive = owner, True
        self.claimed: list[Held] = []
        self.asked: dict[Ticket, Held] = {}
        self.ready: list[Held] = []  # the intent is durable
        self.on_wire: list[Held] = []
        self.outbox = Outbox()
        self._database, self._settings = database, settings
        self._accounts, self._wire, self._clock = accounts, wire, clock
        self._frames: dict[int, Frame] = {}
        self._loop = asyncio.new_event_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._granted: list[Ticket] = []
        self._lost: list[Ticket] = []
        self._ledger = self._loop.run_until_complete(self._open())

    async def _open(self) -> Ledger:
        failed = self._failure.set_exception
        return Ledger(self._database, self.owner, granted=self._hear, failed=failed, renewed=self._freshen)

    def _hear(self, granted: Sequence[Ticket], lost: Sequence[Ticket]) -> None:
        self._granted += granted
        self._lost += lost

    def _freshen(self, tickets: Sequence[Ticket], _since: float) -> None:
        for held in self.hands():
            if held.job.ticket in tickets:
                held.since = self._clock.moment

    # -- what rules do ----------------------------------------------------------

    def claim(self, send_id: int, after: int, limit: int) -> tuple[list[Claimed], list[Held], list[Ticket]]:
        """Claim and look up the readers; returns what was claimed, who is to be served and who is skipped."""
        found = self._wait(self._ledger.claim(send_id, after, limit))
        if not found:
            return [], [], []
        with self._database.read() as session:
            if send_id not in self._frames:
                (self._frames[send_id],) = running(session, self._settings, set(), send_id)
            loaded = load(session, self._frames[send_id], found)
        held = [Held(job, self._clock.moment) for job in loaded.jobs]
        self.claimed += held
        self.outbox.changes += [(ticket, skipped(reason)) for ticket, reason in loaded.skipped]
        return found, held, [ticket for ticket, _ in loaded.skipped]

    def ask(self, held: Held, *, fit: bool) -> None:
        """Ask for the intent, or find that the message cannot be made."""
        self.claimed.remove(held)
        held.since = self._clock.moment
        self.outbox.changes.append((held.job.ticket, INTENT if fit else unfit("no such field")))
        if fit:
            self.asked[held.job.ticket] = held

    def give_back(self) -> None:
        """The stop came: nothing of what is claimed or ready was written."""
        self.outbox.changes += [(held.job.ticket, RELEASE_CLAIM) for held in self.claimed]
        self.outbox.changes += [(held.job.ticket, RELEASE_INTENT) for held in self.ready]
        self.claimed, self.ready = [], []

    def commit(self) -> None:
        """Write the outbox through the ledger, and hear what was granted."""
        outbox, self.outbox = self.outbox, Outbox()
        before = dict(self._accounts.rows)
        for ticket, change in outbox.changes:
            self._ledger.record(ticket, change)
        self._barrier()
        self._accounts.committed(self.owner, outbox.changes, self._clock.moment)
        self._note_refusals(outbox, before)
        intents = {ticket for ticket, change in outbox.changes if change is INTENT}
        mine = {ticket for ticket in intents if self._holds(ticket)}
        assert (set(self._granted), set(self._lost)) == (mine, intents - mine), "granted is what holds, and only that"
        self.ready += [self.asked.pop(ticket) for ticket in self._granted]
        for ticket in self._lost:
            del self.asked[ticket]
        self._granted, self._lost = [], []

    def speak(self, held: Held, *, outcome: Outcome | None, fate: Fate, patient: bool) -> None:
        """Hand a message to the relay: an outcome before the body, or a body whose reply is read later."""
        self.ready.remove(held)
        if (self._clock.moment - held.since).total_seconds() >= STALE_SECONDS:
            self.outbox.changes.append((held.job.ticket, RELEASE_INTENT))
        elif outcome is not None:
            self._note(held, outcome, patient=patient)
        else:
            held.body = self._wire.write((held.job.ticket.send_id, held.job.ticket.seq), fate)
            self.on_wire.append(held)

    def read_reply(self, held: Held, *, patient: bool) -> None:
        """Read what the relay said about a body."""
        self.on_wire.remove(held)
        assert held.body is not None
        outcome = held.body.fate.outcome
        self._note(held, outcome, patient=patient)
        if held.body.fate in (Fate.REFUSED, Fate.NOT_UNDERSTOOD, Fate.DEFERRED):
            self.outbox.bodies.append((held.job.ticket, held.body))

    def renew(self) -> None:
        """Renew the leases of everything in hand."""
        self._ledger.renew([held.job.ticket for held in self.hands()])
        self._barrier()

    def hands(self) -> list[Held]:
        """Everything in hand."""
        return [*self.claimed, *self.asked.values(), *self.ready, *self.on_wire]

    def die(self) -> None:
        """Forget everything; the ledger has nothing left to write."""
        self.alive = False
        self._ledger.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    # -- inside -------------------------------------------------------------------

    def _note(self, held: Held, outcome: Outcome, *, patient: bool) -> None:
        window_left = FAR if patient else -1.0
        change = of_outcome(
            outcome, attempt=held.job.attempt, relay="mx:25", window_left=window_left, patience=Patience()
        )
        self.outbox.changes.append((held.job.ticket, change))

    def _note_refusals(self, outbox: Outbox, before) -> None:
        """A refusal is known once it is recorded; what a zombie read is not."""
        for ticket, body in outbox.bodies:
            key = (ticket.send_id, ticket.seq)
            body.known = before[key].belongs_to(self.owner, ticket)

    def _holds(self, ticket: Ticket) -> bool:
        row = self._accounts.rows[ticket.send_id, ticket.seq]
        return row.state == "sending" and row.belongs_to(self.owner, ticket)

    def _barrier(self) -> None:
        """Until all that was asked for is durable: the ledger keeps the order."""
        self._wait(self._ledger.claim(0, 0, 1))

    def _wait(self, claiming) -> list[Claimed]:
        async def either() -> list[Claimed]:
            claim = asyncio.ensure_future(claiming)
            await asyncio.wait((claim, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if not claim.done():
                claim.cancel()
                self._failure.result()
            return claim.result()

        return self._loop.run_until_complete(either())
