"""The state machine: every rule is one thing that can happen to a ledger, in any order, at any moment.

At the end of every run all faults end, and within a few rounds of what the
workers' sweep does everyone must be served or accounted for.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from simulation.accounts import Row, S
from simulation.newsroom import READERS, Newsroom, enlist
from simulation.wire import BEFORE_BODY, Fate
from simulation.worker import Held, Worker
from simulation.world import ENDED, World, taken_back, which

from newsletter import delivery, publications
from newsletter.config import Settings
from newsletter.delivery import SendState
from newsletter.delivery.models import Send
from newsletter.delivery.recover import ASSUMED, EVIDENCE_SECONDS
from newsletter.delivery.statements import LEASE_SECONDS
from newsletter.publications import UncertainPolicy

MOST_WORKERS = 3
some = st.lists(which, min_size=1, max_size=6)


class LedgerMachine(World):
    """One newsroom, up to three sending processes, one relay, and everything that can go wrong."""

    def __init__(self, room: Newsroom, settings: Settings) -> None:
        super().__init__(room, settings)
        self.workers: list[Worker] = []

    def hands(self, name: str) -> list[tuple[Worker, Held]]:
        """What all workers hold of one kind."""
        held = []
        for worker in self.workers:
            kept = getattr(worker, name)
            held += [(worker, one) for one in (kept.values() if isinstance(kept, dict) else kept)]
        return held

    @initialize(
        policy=st.sampled_from(UncertainPolicy), begun=st.sampled_from((1, 1, 2, 0)), workers=st.sampled_from((1, 2, 0))
    )
    def so_far(self, policy, begun, workers):
        """Runs that begin in the middle reach further."""
        self.policy = policy
        with self.database.transaction() as session:
            publications.update(session, publications.by_id(session, self.room.publication), uncertain_policy=policy)
        for number in range(begun):
            self.click(number, 1)
        self.beat(1, None)
        for _ in range(workers):
            self.worker_starts()

    # -- the sending processes ----------------------------------------------------------

    @precondition(lambda self: len(self.workers) < MOST_WORKERS)
    @rule()
    def worker_starts(self):
        with self.step():
            owner = enlist(self.database)
            self.workers.append(Worker(owner, self.database, self.settings, self.accounts, self.wire, self.clock))

    @precondition(lambda self: self.workers and self.sends)
    @rule(worker=which, number=which, after=st.integers(0, 2), limit=st.integers(1, READERS))
    def claim(self, worker, number, after, limit):
        with self.step():
            self.claimed(
                self.workers[worker % len(self.workers)], self.send_ids[number % len(self.sends)], after, limit
            )

    def claimed(self, worker: Worker, send_id: int, after: int, limit: int) -> None:
        """Claim, and check that it took what is due and no other, and skips who is gone and no other."""
        moment = self.clock.moment
        running = self.accounts.sends.get(send_id) is SendState.SENDING
        due = [row for row in self.accounts.of(send_id) if running and row.seq > after and row.due(moment)]
        found, held, skipped = worker.claim(send_id, after, limit)
        assert [one.seq for one in found] == [row.seq for row in sorted(due, key=lambda row: row.seq)][:limit]
        taken = {one.seq for one in found}
        self.changing(
            lambda before, after: (
                before.send_id == send_id
                and before.seq in taken
                and (after.state, after.owner, after.epoch) == (S.CLAIMED, worker.owner, before.epoch + 1)
                and (after.lease_until - moment).total_seconds() == LEASE_SECONDS
            )
        )
        assert len(held) + len(skipped) == len(found)
        assert not self.gone & {one.job.reader.subscriber_id for one in held}, "who is gone is not mailed"
        assert len(skipped) <= len(self.gone), "nobody is skipped without a reason"

    @precondition(lambda self: self.workers and self.sends)
    @rule(
        worker=which,
        number=which,
        limit=st.integers(1, READERS),
        stages=st.sampled_from((1, 2, 3, 3, 4, 4, 5)),
        fate=st.sampled_from(Fate),
        meanwhile=st.sampled_from((None, None, None, "nothing", "lease", "pause")),
        durable=st.booleans(),
    )
    def work(self, worker, number, limit, stages, fate, meanwhile, durable):
        """What a worker does one thing after another, up to some stage: claim, ask, commit, write, read."""
        with self.step():
            one = self.workers[worker % len(self.workers)]
            self.claimed(one, self.send_ids[number % len(self.sends)], 0, limit)
            for held in list(one.claimed) if stages > 1 else ():
                one.ask(held, fit=True)
            if stages > 2:
                self.interrupted(one, meanwhile, durable=durable) if meanwhile else one.commit()
            for held in list(one.ready) if stages > 3 else ():
                one.speak(held, outcome=None, fate=fate, patient=True)
            for held in list(one.on_wire) if stages > 4 else ():
                one.read_reply(held, patient=True)

    @precondition(lambda self: self.workers and self.begun)
    @rule(worker=which, zombies=st.booleans())
    def another_takes_over(self, worker, zombies):
        """Everybody stands still until the leases have run out; one claims what there is, maybe who held it before.

        Then all go on; ``zombies``, the late one among them, have just claimed and go on at once.
        """
        late = self.workers[worker % len(self.workers)]
        with self.step():
            for send_id in self.begun if zombies else ():
                self.claimed(late, send_id, 0, READERS)
            before = [(one, list(one.claimed), list(one.ready), list(one.on_wire)) for one in self.workers]
            self.meanwhile("lease")
            for send_id in self.begun:
                self.claimed(late, send_id, 0, READERS)
            for one, claimed, ready, on_wire in before if zombies else ():
                for held in claimed:
                    one.ask(held, fit=True)
                for held in ready:
                    one.speak(held, outcome=None, fate=Fate.ACCEPTED, patient=True)
                for held in on_wire:
                    one.read_reply(held, patient=True)
                one.commit()

    @precondition(lambda self: self.hands("claimed"))
    @rule(numbers=some, fit=st.integers(0, 9))
    def ask(self, numbers, fit):
        with self.step():
            for number in numbers:
                if hands := self.hands("claimed"):
                    worker, held = hands[number % len(hands)]
                    worker.ask(held, fit=fit > 0)

    @precondition(lambda self: any(worker.outbox.changes for worker in self.workers))
    @rule(worker=which)
    def commit(self, worker):
        with self.step():
            busy = [one for one in self.workers if one.outbox.changes]
            busy[worker % len(busy)].commit()

    @precondition(lambda self: any(worker.outbox.changes for worker in self.workers))
    @rule(worker=which, durable=st.booleans(), meanwhile=st.sampled_from(("nothing", "lease", "pause", "cancel")))
    def commit_fails_at_first(self, worker, durable, meanwhile):
        """The database goes away before or after the commit, comes back, and the ledger writes again."""
        with self.step():
            busy = [one for one in self.workers if one.outbox.changes]
            self.interrupted(busy[worker % len(busy)], meanwhile, durable=durable)

    def interrupted(self, worker: Worker, meanwhile: str, *, durable: bool) -> None:
        changes = list(worker.outbox.changes)

        def happens() -> None:
            if durable:
                self.accounts.committed(worker.owner, changes, self.clock.moment, partly=True)
            self.meanwhile(meanwhile)

        (self.faults.lose_next_answer if durable else self.faults.fail_next_commit)(happens)
        worker.commit()

    def meanwhile(self, what: str) -> None:
        if what == "lease":
            self.clock.advance(LEASE_SECONDS + 1)
            delivery.recover(self.database)
            self.changing(self.recovery)
        elif what != "nothing":
            to = S.PENDING if what == "pause" else S.SKIPPED
            for number in range(len(self.sends)):
                self.act(number, delivery.pause if what == "pause" else delivery.cancel, None)
            self.changing(lambda before, after: taken_back(before, after, to))

    @precondition(lambda self: self.hands("ready"))
    @rule(numbers=some, fate=st.sampled_from(Fate), patient=st.integers(0, 5))
    def write_bodies(self, numbers, fate, patient):
        with self.step():
            for number in numbers:
                if hands := self.hands("ready"):
                    worker, held = hands[number % len(hands)]
                    worker.speak(held, outcome=None, fate=fate, patient=patient > 0)

    @precondition(lambda self: self.hands("ready"))
    @rule(number=which, outcome=st.sampled_from(sorted(BEFORE_BODY)), patient=st.integers(0, 5))
    def end_before_the_body(self, number, outcome, patient):
        with self.step():
            worker, held = self.hands("ready")[number % len(self.hands("ready"))]
            worker.speak(held, outcome=BEFORE_BODY[outcome], fate=Fate.ACCEPTED, patient=patient > 0)

    @precondition(lambda self: self.hands("on_wire"))
    @rule(numbers=some, patient=st.integers(0, 5))
    def read_replies(self, numbers, patient):
        with self.step():
            for number in numbers:
                if hands := self.hands("on_wire"):
                    worker, held = hands[number % len(hands)]
                    worker.read_reply(held, patient=patient > 0)

    @precondition(lambda self: self.workers)
    @rule(worker=which)
    def renew(self, worker):
        with self.step():
            one = self.workers[worker % len(self.workers)]
            tickets = [held.job.ticket for held in one.hands()]
            mine = {(ticket.send_id, ticket.seq, ticket.epoch) for ticket in tickets}
            one.renew()
            self.changing(
                lambda before, after: (
                    (*before.key, before.epoch) in mine
                    and before.owner == one.owner
                    and before.state in (S.CLAIMED, S.SENDING)
                    and (after.lease_until - self.clock.moment).total_seconds() == LEASE_SECONDS
                    and (after.state, after.attempt, after.epoch) == (before.state, before.attempt, before.epoch)
                )
            )

    @precondition(lambda self: self.workers)
    @rule(worker=which)
    def worker_stops(self, worker):
        """SIGTERM: what was not written is given back, what is on the wire is finished."""
        with self.step():
            self.stop(self.workers[worker % len(self.workers)])

    def stop(self, worker: Worker) -> None:
        worker.commit()  # what was asked before the stop is granted or lost
        worker.give_back()
        for held in list(worker.on_wire):
            worker.read_reply(held, patient=True)
        worker.commit()
        self.workers.remove(worker)
        worker.die()

    @precondition(lambda self: self.workers)
    @rule(worker=which)
    def worker_is_killed(self, worker):
        with self.step():
            self.workers.pop(worker % len(self.workers)).die()

    # -- the end ------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.sound:
                self.sound = False
                self.everything_ends()
        finally:
            for worker in self.workers:
                worker.die()
            self.database.dispose()
            self.room.databases.drop(self.url)

    def everything_ends(self) -> None:
        """The faults are over: a few sweeps later nobody waits, and whoever should have it has it."""
        for worker in list(self.workers):
            self.stop(worker)
        for number, send_id in enumerate(self.send_ids):
            if self.accounts.sends[send_id] is SendState.PAUSED:
                self.act(number, delivery.resume, None)
        for _ in range(4):
            self.clock.advance(EVIDENCE_SECONDS + 1)
            self.sweep()
        for row in self.accounts.rows.values():
            self.is_settled(row)
        with self.database.read() as session:
            for send_id in self.begun:
                assert session.get(Send, send_id).unsettled == 0
                assert self.accounts.sends[send_id] in ENDED

    def sweep(self) -> None:
        """What a worker does when it is woken, with a relay that takes everything."""
        delivery.recover(self.database)
        self.changing(self.recovery)
        self.all_is_recovered()
        self.clock.advance(5000)  # longer than any back-off
        worker = Worker(enlist(self.database), self.database, self.settings, self.accounts, self.wire, self.clock)
        self.workers.append(worker)
        for send_id in self.begun:
            self.claimed(worker, send_id, 0, READERS)
        for held in list(worker.claimed):
            worker.ask(held, fit=True)
        worker.commit()
        for held in list(worker.ready):
            worker.speak(held, outcome=None, fate=Fate.ACCEPTED, patient=True)
        self.stop(worker)

    def is_settled(self, row: Row) -> None:
        called_off = self.accounts.sends[row.send_id] is SendState.CANCELLED
        held_back = self.policy is UncertainPolicy.HOLD or (called_off and self.policy is UncertainPolicy.SEND_AGAIN)
        match row.state:
            case S.ACCEPTED:
                assumed = ASSUMED in (row.reply or "")
                assert self.wire.served(row.key) or assumed, f"nobody took the mail of {row}"
            case S.UNCERTAIN:
                assert held_back, f"nobody decided about {row}"
            case S.SKIPPED:
                assert row.reply == "cancelled" or self.gone, f"{row} is skipped, and nobody is gone"
            case _:
                assert row.state is S.REFUSED, f"{row} is not at its end"
