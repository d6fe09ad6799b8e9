"""The newsroom's side of the simulation: people, readers, beats, time and recovery; one rule for each.

After each rule the accounts say whether what the database holds is right (see
``simulation.accounts``). Nothing here sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from simulation.accounts import Accounts, Row, S
from simulation.clock import Clock
from simulation.faults import Faults
from simulation.newsroom import READERS, Newsroom
from simulation.wire import Wire

from newsletter import audience, delivery
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery import SendState, states
from newsletter.delivery.recover import EVIDENCE_SECONDS
from newsletter.delivery.statements import LEASE_SECONDS
from newsletter.errors import Refused
from newsletter.publications import UncertainPolicy

ENDED = (SendState.COMPLETE, SendState.CANCELLED)
which = st.integers(0, 60)  # one of what there is
pauses = st.sampled_from((1, 15, 29, 31, LEASE_SECONDS, LEASE_SECONDS + 1, EVIDENCE_SECONDS, EVIDENCE_SECONDS + 1))


class World(RuleBasedStateMachine):
    """One newsroom, its readers, and its ledger."""

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

    @precondition(lambda self: len(self.begun) < len(self.room.issues))
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

    @precondition(lambda self: len(self.begun) < len(self.room.issues))
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
    @rule(number=which, dies_after=st.none() | st.integers(0, 8), really=st.integers(0, 1))
    def cancel(self, number, dies_after, really):
        """Rare, for it ends so much."""
        if really:
            return
        with self.step():
            send_id = self.act(number, delivery.cancel, dies_after)
            self.changing(lambda before, after: before.send_id == send_id and taken_back(before, after, S.SKIPPED))

    @precondition(lambda self: self.unserved)
    @rule(number=which, uncertain=st.integers(0, 2), dies_after=st.none() | st.integers(0, 6))
    def retry(self, number, uncertain, dies_after):
        """A person sends again to those who have not got it; to the uncertain too if so decided, which is rarer."""
        number, uncertain = self.send_ids.index(self.unserved[number % len(self.unserved)]), uncertain == 0

        def explains(before: Row, after: Row) -> bool:
            if before.state is S.UNCERTAIN:
                self.wire.decided_to_send_again(before.key)
            asked = {S.REFUSED, S.DEFERRED, *({S.UNCERTAIN} if uncertain else ())}
            fresh = (after.state, after.attempt, after.epoch) == (S.PENDING, 0, before.epoch + 1)
            return before.send_id == send_id and before.state in asked and fresh

        with self.step():
            send_id = self.act(number, lambda *given: delivery.retry(*given, uncertain=uncertain), dies_after)
            self.changing(explains)

    @property
    def unserved(self) -> list[int]:
        """The sends that have somebody whom a retry might reach."""
        states_met = (S.REFUSED, S.DEFERRED, S.UNCERTAIN)
        return sorted({row.send_id for row in self.accounts.rows.values() if row.state in states_met})

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

    @precondition(lambda self: self.begun)
    @rule(seconds=pauses)
    def time_passes(self, seconds):
        with self.step():
            self.clock.advance(seconds)

    @precondition(lambda self: self.begun)
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
                assert delivery.settle(session, key[0], [key[1]], evidence="opened") == uncertain
            self.changing(lambda before, after: before.key == key and after.state is S.ACCEPTED)


def nothing(_before: Row, _after: Row) -> bool:
    """A step that touches no delivery."""
    return False


def taken_back(before: Row, after: Row, to: S) -> bool:
    """What a pause and a cancel do: nobody who holds it can write it any more."""
    waiting = (S.CLAIMED,) if to is S.PENDING else (*states.CLAIMABLE, S.CLAIMED)
    return before.state in waiting and (after.state, after.epoch) == (to, before.epoch + 1)
