"""The state machine: every rule is one thing that can happen to a ledger, in any order, at any moment.

After each rule the accounts say whether what the database holds is right
(see ``simulation.accounts``); at the end of every run all faults end, and within a
few rounds of what the workers' sweep does everyone must be served or accounted for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from simulation.accounts import Accounts, Row, S
from simulation.clock import Clock
from simulation.faults import Faults
from simulation.newsroom import READERS, Newsroom, enlist
from simulation.wire import BEFORE_BODY, Fate, Wire
from simulation.worker import Held, Worker

from newsletter import audience, delivery, publications
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import SendState, states
from newsletter.delivery.models import Send
from newsletter.delivery.recover import ASSUMED, EVIDENCE_SECONDS
from newsletter.delivery.statements import LEASE_SECONDS
from newsletter.errors import Refused
from newsletter.publications import UncertainPolicy

MOST_WORKERS = 3
ENDED = (SendState.COMPLETE, SendState.CANCELLED)
which = st.integers(0, 60)  # one of what there is
some = st.lists(which, min_size=1, max_size=6)
pauses = st.sampled_from((1, 15, 30, 41, LEASE_SECONDS, LEASE_SECONDS + 1, EVIDENCE_SECONDS, EVIDENCE_SECONDS + 1))


class LedgerMachine(RuleBasedStateMachine):
    """One newsroom, up to three sending processes, one relay, and everything that can go wrong."""

    steps = 0  # over all runs
    moves: ClassVar[Counter[tuple[S, S]]] = Counter()  # transitions met, over all runs

    def __init__(self, room: Newsroom, settings: Settings) -> None:
        super().__init__()
        self.room, self.settings = room, settings
        self.url = room.databases.copy_of(room.url)
        self.database = Database(self.url)
        self.clock = Clock()
        self.clock.govern(self.database)
        self.faults = Faults(self.database)
        self.wire = Wire()
        self.accounts = Accounts(self.database, self.moves)
        self.workers: list[Worker] = []
        self.sends: dict[int, int] = {}  # by issue
        self.gone: set[int] = set()  # readers who must not be mailed
        self.policy = UncertainPolicy.ASSUME_ACCEPTED
        self.sound = True

    @contextmanager
    def step(self):
        """Every rule runs in one; what fails once need not be tried to its end."""
        type(self).steps += 1
        self.sound = False
        yield
        self.sound = True

    def changing(self, explains: Callable[[Row, Row], bool]) -> None:
        self.accounts.explained(explains)

    @property
    def send_ids(self) -> list[int]:
        return sorted(self.sends.values())

    @property
    def begun(self) -> list[int]:
        return sorted({row.send_id for row in self.accounts.rows.values()})

    def hands(self, name: str) -> list[tuple[Worker, Held]]:
        """What all workers hold of one kind."""
        held = []
        for worker in self.workers:
            kept = getattr(worker, name)
            held += [(worker, one) for one in (kept.values() if isinstance(kept, dict) else kept)]
        return held

    # -- the newsroom ---------------------------------------------------------------

    @initialize(policy=st.sampled_from(UncertainPolicy), begun=st.integers(0, 2), workers=st.integers(0, 2))
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

    @rule(number=which, clicks=st.integers(1, 3))
    def click(self, number, clicks):
        """A person clicks “send”, more than once."""
        issue = self.room.issues[number % len(self.room.issues)]
        with self.step():
            for _ in range(clicks):
                with self.database.transaction() as session:
                    found = delivery.start(session, issue, by="editor@example.org")
                assert self.sends.setdefault(issue, found.send) == found.send, "one issue, one send"
            self.changing(nothing)

    @rule(beats=st.integers(1, 2), dies_after=st.none() | st.integers(0, 25))
    def beat(self, beats, dies_after):
        """The schedule is looked at, perhaps by a process that dies over it."""
        with self.step():
            before = set(self.begun)
            with self.dying(dies_after):
                for _ in range(beats):
                    delivery.begin_due(self.database, self.settings)
            self.changing(nothing)
            for send_id in set(self.begun) - before:
                rows = self.accounts.of(send_id)
                assert {row.state for row in rows} == {S.PENDING}
                assert len(rows) == READERS - len(self.gone)

    @precondition(lambda self: len(self.gone) < READERS - 2)
    @rule(number=which, suppressed=st.booleans())
    def reader_goes(self, number, suppressed):
        """Somebody unsubscribes or is suppressed."""
        reader = self.room.readers[number % READERS]
        with self.step(), self.database.transaction() as session:
            if suppressed:
                address = f"reader{self.room.readers.index(reader) + 1}@example.org"
                audience.suppress(session, self.settings.secret, address=address, reason="manual", evidence="by phone")
            else:
                audience.leave(session, audience.Reader(self.room.publication, reader), via="page")
            self.gone.add(reader)

    @precondition(lambda self: self.sends)
    @rule(
        number=which, verb=st.sampled_from((delivery.pause, delivery.resume)), dies_after=st.none() | st.integers(0, 6)
    )
    def pause_or_resume(self, number, verb, dies_after):
        with self.step():
            send_id = self.act(number, verb, dies_after)
            self.changing(lambda before, after: before.send_id == send_id and taken_back(before, after, S.PENDING))

    @precondition(lambda self: self.sends)
    @rule(number=which, dies_after=st.none() | st.integers(0, 8), really=st.integers(0, 3))
    def cancel(self, number, dies_after, really):
        """Rare, for it ends so much."""
        if really:
            return
        with self.step():
            send_id = self.act(number, delivery.cancel, dies_after)
            self.changing(lambda before, after: before.send_id == send_id and taken_back(before, after, S.SKIPPED))

    @precondition(lambda self: self.sends)
    @rule(number=which, uncertain=st.booleans(), dies_after=st.none() | st.integers(0, 6))
    def retry(self, number, uncertain, dies_after):
        """A person sends again to those who have not got it; to the uncertain too if so decided."""

        def explains(before: Row, after: Row) -> bool:
            if before.state is S.UNCERTAIN:
                self.wire.decided_to_send_again(before.key)
            asked = {S.REFUSED, S.DEFERRED, *({S.UNCERTAIN} if uncertain else ())}
            fresh = (after.state, after.attempt, after.epoch) == (S.PENDING, 0, before.epoch + 1)
            return before.send_id == send_id and before.state in asked and fresh

        with self.step():
            send_id = self.act(number, lambda *given: delivery.retry(*given, uncertain=uncertain), dies_after)
            self.changing(explains)

    def act(self, number: int, verb: Callable, dies_after: int | None) -> int:
        send_id = self.send_ids[number % len(self.sends)]
        with self.dying(dies_after), suppress(Refused), self.database.transaction() as session:
            verb(session, send_id)
        return send_id

    @contextmanager
    def dying(self, after: int | None):
        if after is None:
            yield
        else:
            with self.faults.death(after):
                yield

    # -- time and recovery ------------------------------------------------------------

    @rule(seconds=pauses)
    def time_passes(self, seconds):
        with self.step():
            self.clock.advance(seconds)

    @rule(dies_after=st.none() | st.integers(0, 12))
    def recover(self, dies_after):
        with self.step():
            with self.dying(dies_after):
                delivery.recover(self.database)
            self.changing(self.recovery)
            if dies_after is None:
                self.all_is_recovered()

    def recovery(self, before: Row, after: Row) -> bool:
        """What recovering may do to a row."""
        match before.state, after.state:
            case S.CLAIMED, S.PENDING:
                return before.lease_until < self.clock.moment and after.epoch == before.epoch + 1
            case S.SENDING, S.UNCERTAIN:
                return before.lease_until < self.clock.moment and after.epoch == before.epoch
            case S.UNCERTAIN, S.ACCEPTED:
                return self.overdue(before) and self.policy is UncertainPolicy.ASSUME_ACCEPTED
            case S.UNCERTAIN, S.PENDING:
                self.wire.decided_to_send_again(before.key)
                again = self.policy is UncertainPolicy.SEND_AGAIN and after.epoch == before.epoch + 1
                return self.overdue(before) and again and self.accounts.sends[before.send_id] is not SendState.CANCELLED
            case ((S.PENDING | S.DEFERRED), S.SKIPPED):
                return self.accounts.sends[before.send_id] is SendState.CANCELLED
        return False

    def overdue(self, row: Row) -> bool:
        return (self.clock.moment - row.outcome_at).total_seconds() > EVIDENCE_SECONDS

    def all_is_recovered(self) -> None:
        for row in self.accounts.rows.values():
            leased = row.state in (S.CLAIMED, S.SENDING)
            assert not leased or row.lease_until >= self.clock.moment, f"nobody will look at {row}"
            send = self.accounts.sends[row.send_id]
            undecided = row.state is S.UNCERTAIN and self.overdue(row) and self.policy is not UncertainPolicy.HOLD
            called_off = send is SendState.CANCELLED and self.policy is UncertainPolicy.SEND_AGAIN
            assert not undecided or called_off, f"nobody decides about {row}"
            waits_in_vain = send in ENDED and row.state in states.CLAIMABLE
            assert not waits_in_vain, f"its send is {send} and nobody will ever claim {row}"
        for send_id in self.begun:
            unfinished = [row for row in self.accounts.of(send_id) if row.state in states.UNFINISHED]
            assert unfinished or self.accounts.sends[send_id] is not SendState.SENDING, "it has ended"

    @precondition(lambda self: self.accounts.rows)
    @rule(number=which)
    def evidence_comes(self, number):
        """A bounce, an open or a click tells that somebody got it; only who got it can."""
        key = sorted(self.accounts.rows)[number % len(self.accounts.rows)]
        if not self.wire.served(key):
            return
        with self.step():
            uncertain = self.accounts.rows[key].state is S.UNCERTAIN
            with self.database.transaction() as session:
                assert delivery.settle(session, *key, evidence="opened") == uncertain
            self.changing(lambda before, after: before.key == key and after.state is S.ACCEPTED)

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
    )
    def work(self, worker, number, limit, stages, fate):
        """What a worker does when nothing is in its way, up to some stage: claim, ask, commit, write, read."""
        with self.step():
            one = self.workers[worker % len(self.workers)]
            self.claimed(one, self.send_ids[number % len(self.sends)], 0, limit)
            for held in list(one.claimed) if stages > 1 else ():
                one.ask(held, fit=True)
            if stages > 2:
                one.commit()
            for held in list(one.ready) if stages > 3 else ():
                one.speak(held, outcome=None, fate=fate, patient=True)
            for held in list(one.on_wire) if stages > 4 else ():
                one.read_reply(held, patient=True)

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
            mine = {(ticket.send_id, ticket.seq, ticket.epoch) for ticket in one.tickets()}
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


def nothing(_before: Row, _after: Row) -> bool:
    """A step that touches no delivery."""
    return False


def taken_back(before: Row, after: Row, to: S) -> bool:
    """What a pause and a cancel do: nobody who holds it can write it any more."""
    waiting = (S.CLAIMED,) if to is S.PENDING else (*states.CLAIMABLE, S.CLAIMED)
    return before.state in waiting and (after.state, after.epoch) == (to, before.epoch + 1)
