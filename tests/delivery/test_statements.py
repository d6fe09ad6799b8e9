import datetime as dt
import math

import pytest
from factories.delivery import begun
from fixtures.databases import CHOICE
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from newsletter.delivery import statements
from newsletter.delivery.changes import INTENT, RELEASE_CLAIM, RELEASE_INTENT, Change, skipped
from newsletter.delivery.models import Delivery, DeliveryState, Send, SenderProcess, SendState
from newsletter.delivery.statements import LEASE_SECONDS, Claimed, Ticket
from newsletter.kit import clock

ME, OTHER = 7, 8
S = DeliveryState


def accepted(reply="2.0.0 Ok", code=250, relay="mx:25"):
    return Change(S.ACCEPTED, S.SENDING, code=code, reply=reply, relay=relay)


def deferred(delay=60.0):
    return Change(S.DEFERRED, S.SENDING, delay, command="RCPT", code=451, reply="4.7.1 Later", relay="mx:25")


REFUSED = Change(S.REFUSED, S.SENDING, command="DATA", code=554, reply="5.7.1 No", relay="mx:25")
UNCERTAIN = Change(S.UNCERTAIN, S.SENDING, reply="the server closed the connection", relay="mx:25")


class Desk:
    """The statements, each in a transaction of its own, and the rows as they stand."""

    def __init__(self, database, settings):
        self.database = database
        self.settings = settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})

    def begun(self, readers=4, **fields):
        return begun(self.database, self.settings, readers, **fields)

    def claim(self, send_id, *, owner=ME, after=0, limit=100, lanes=()):
        with self.database.connection() as connection:
            return statements.claim(connection, owner, send_id, after, limit, lanes)

    def tickets(self, send_id, **more):
        return [Ticket(send_id, one.seq, one.epoch) for one in self.claim(send_id, **more)]

    def sending(self, send_id, **more):
        tickets = self.tickets(send_id, **more)
        assert self.write([(ticket, INTENT) for ticket in tickets], owner=more.get("owner", ME)) == len(tickets)
        return tickets

    def write(self, changes, *, owner=ME):
        with self.database.connection() as connection:
            return statements.write(connection, owner, changes)

    def renew(self, tickets, *, owner=ME):
        with self.database.connection() as connection:
            return statements.renew(connection, owner, tickets)

    def held(self, tickets, state=S.SENDING, *, owner=ME):
        with self.database.connection() as connection:
            return statements.held(connection, owner, tickets, state)

    def rows(self, send_id):
        with self.database.read() as session:
            found = session.scalars(select(Delivery).where(Delivery.send_id == send_id).order_by(Delivery.seq))
            return dict(enumerate(found, 1))

    def set(self, send_id, seq, **values):
        with self.database.transaction() as session:
            session.execute(update(Delivery).where(Delivery.send_id == send_id, Delivery.seq == seq).values(**values))


@pytest.fixture
def desk(database, settings):
    return Desk(database, settings)


def states(rows):
    return [str(row.state) for row in rows.values()]


def ago(seconds):
    return clock.now() - dt.timedelta(seconds=seconds)


def seconds_from_now(instant):
    return (instant - clock.now()).total_seconds()


def is_now(instant):
    return math.isclose(seconds_from_now(instant), 0, abs_tol=5)


# -- claim -----------------------------------------------------------------------


def test_a_claim_tells_the_row_under_its_new_epoch_and_holds_a_lease(desk):
    send_id = desk.begun(2)
    desk.set(send_id, 2, attempt=3, epoch=5, lane=4)
    assert desk.claim(send_id) == [Claimed(1, 1, 0, 0), Claimed(2, 6, 3, 4)]
    rows = desk.rows(send_id)
    assert [(row.state, row.owner, row.epoch) for row in rows.values()] == [(S.CLAIMED, ME, 1), (S.CLAIMED, ME, 6)]
    assert all(LEASE_SECONDS - 5 < seconds_from_now(row.lease_until) <= LEASE_SECONDS for row in rows.values())


def test_a_claim_takes_what_is_due_after_the_cursor_in_order_up_to_the_limit(desk):
    send_id = desk.begun(6)
    desk.set(send_id, 2, state=S.DEFERRED, not_before=ago(-60))
    desk.set(send_id, 3, state=S.DEFERRED, not_before=ago(1))
    desk.set(send_id, 4, state=S.ACCEPTED)
    assert [one.seq for one in desk.claim(send_id, after=1, limit=2)] == [3, 5]
    assert [one.seq for one in desk.claim(send_id)] == [1, 6]
    assert states(desk.rows(send_id)) == ["claimed", "deferred", "claimed", "accepted", "claimed", "claimed"]


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in (S.PENDING, S.DEFERRED)])
def test_what_is_not_waiting_is_not_claimed(desk, state):
    send_id = desk.begun(1)
    desk.set(send_id, 1, state=state)
    assert desk.claim(send_id) == []
    assert desk.rows(send_id)[1].epoch == 0


def test_a_claim_of_some_lanes_leaves_the_others(desk):
    send_id = desk.begun(3)
    desk.set(send_id, 2, lane=1)
    desk.set(send_id, 3, lane=2)
    assert [one.seq for one in desk.claim(send_id, lanes=(1, 2))] == [2, 3]
    assert states(desk.rows(send_id)) == ["pending", "claimed", "claimed"]


@pytest.mark.parametrize("state", [state for state in SendState if state is not SendState.SENDING])
def test_nothing_is_claimed_of_a_send_that_is_not_being_sent(desk, state):
    send_id, other = desk.begun(1), desk.begun(1, prefix="other")
    with desk.database.transaction() as session:
        session.get(Send, send_id).state = state
    assert desk.claim(send_id) == []
    assert [one.seq for one in desk.claim(other)] == [1]
    assert states(desk.rows(send_id)) == ["pending"]


# -- intents and acceptances -----------------------------------------------------


def test_an_intent_counts_the_attempt_renews_the_lease_and_wipes_what_the_last_one_left(desk):
    send_id = desk.begun(1)
    desk.set(send_id, 1, state=S.DEFERRED, attempt=2, not_before=ago(1), command="RCPT", code=451, reply="x", relay="y")
    tickets = desk.tickets(send_id)
    desk.set(send_id, 1, lease_until=ago(1))
    assert desk.write([(tickets[0], INTENT)]) == 1
    row = desk.rows(send_id)[1]
    assert (row.state, row.attempt, row.not_before) == (S.SENDING, 3, None)
    assert (row.command, row.code, row.reply, row.relay) == (None, None, None, None)
    assert LEASE_SECONDS - 5 < seconds_from_now(row.lease_until) <= LEASE_SECONDS
    assert is_now(row.intent_at)


def test_an_intent_whose_answer_was_lost_is_written_again_and_counts_once(desk):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, lease_until=ago(1))
    assert desk.write([(tickets[0], INTENT)]) == 1
    row = desk.rows(send_id)[1]
    assert row.attempt == 1
    assert seconds_from_now(row.lease_until) > LEASE_SECONDS - 5


def test_an_acceptance_keeps_the_reply_and_ends_lease_and_wait(desk):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, not_before=ago(1), command="RCPT")
    assert desk.write([(tickets[0], accepted())]) == 1
    row = desk.rows(send_id)[1]
    assert (row.state, row.attempt, row.epoch, row.owner) == (S.ACCEPTED, 1, 1, ME)
    assert (row.command, row.code, row.reply, row.relay) == (None, 250, "2.0.0 Ok", "mx:25")
    assert (row.lease_until, row.not_before) == (None, None)
    assert is_now(row.outcome_at)


def test_an_acceptance_after_the_lease_is_evidence(desk):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, state=S.UNCERTAIN)
    assert desk.write([(tickets[0], accepted("2.0.0 at last"))]) == 1
    assert desk.rows(send_id)[1].reply == "2.0.0 at last"


def test_one_write_carries_everything_that_happened_and_counts_its_rows(desk):
    first, second = desk.begun(7), desk.begun(2, prefix="other")
    sending, waiting = desk.sending(first, limit=5), desk.tickets(first)
    others = desk.sending(second)
    changes = [
        (others[1], accepted("b")),
        (waiting[1], INTENT),
        (sending[0], accepted("a", 250)),
        (sending[1], accepted("c", 251)),
        (sending[2], accepted("d", 250, "mx:26")),
        (waiting[0], RELEASE_CLAIM),
        (sending[4], REFUSED),
        (sending[3], accepted(None)),
        (others[0], UNCERTAIN),
    ]
    assert desk.write(changes) == len(changes)
    found = [(str(row.state), row.code, row.reply, row.relay) for row in desk.rows(first).values()]
    assert found == [
        ("accepted", 250, "a", "mx:25"),
        ("accepted", 251, "c", "mx:25"),
        ("accepted", 250, "d", "mx:26"),
        ("accepted", 250, None, "mx:25"),
        ("refused", 554, "5.7.1 No", "mx:25"),
        ("pending", None, None, None),
        ("sending", None, None, None),
    ]
    assert states(desk.rows(second)) == ["uncertain", "accepted"]


def test_a_write_of_nothing_is_nothing(desk):
    assert desk.write([]) == 0
    assert desk.renew([]) == []
    assert desk.held([]) == []


def test_epochs_beyond_a_byte_and_rows_beyond_the_first_are_told_apart(desk):
    send_id = desk.begun(3)
    for seq, epoch in ((1, 255), (2, 65_535), (3, (1 << 24) - 2)):
        desk.set(send_id, seq, epoch=epoch)
    tickets = desk.sending(send_id)
    assert [ticket.epoch for ticket in tickets] == [256, 65_536, (1 << 24) - 1]
    assert desk.write([(ticket, accepted()) for ticket in tickets]) == 3


@pytest.mark.parametrize(
    "change", [accepted("r" * 600, relay="m" * 200), REFUSED._replace(reply="r" * 600, relay="m" * 200)]
)
def test_what_is_too_long_is_cut_to_its_column(desk, change):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    assert desk.write([(tickets[0], change)]) == 1
    row = desk.rows(send_id)[1]
    assert (row.reply, row.relay) == ("r" * 500, "m" * 120)


@pytest.mark.parametrize("change", [accepted(None, None, None), UNCERTAIN._replace(reply=None, relay=None)])
def test_what_is_not_known_is_noted_as_nothing(desk, change):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    assert desk.write([(tickets[0], change)]) == 1
    row = desk.rows(send_id)[1]
    assert (row.state, row.command, row.code, row.reply, row.relay) == (change.to, None, None, None, None)


# -- the rest --------------------------------------------------------------------


def test_an_outcome_is_noted_whole(desk):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    assert desk.write([(tickets[0], deferred(60.0))]) == 1
    row = desk.rows(send_id)[1]
    assert (row.state, row.attempt, row.lease_until) == (S.DEFERRED, 1, None)
    assert (row.command, row.code, row.reply, row.relay) == ("RCPT", 451, "4.7.1 Later", "mx:25")
    assert 55 < seconds_from_now(row.not_before) <= 60
    assert is_now(row.outcome_at)


def test_what_is_given_back_is_due_at_once_and_was_no_attempt(desk):
    send_id = desk.begun(2)
    desk.set(send_id, 1, attempt=2)
    first, second = desk.tickets(send_id)
    desk.write([(first, INTENT)])
    assert desk.write([(first, RELEASE_INTENT), (second, RELEASE_CLAIM)]) == 2
    rows = desk.rows(send_id)
    assert [(row.state, row.attempt, row.not_before, row.lease_until) for row in rows.values()] == [
        (S.PENDING, 2, None, None),
        (S.PENDING, 0, None, None),
    ]


def test_who_may_not_be_mailed_is_skipped_with_the_reason(desk):
    send_id = desk.begun(1)
    (ticket,) = desk.tickets(send_id)
    assert desk.write([(ticket, skipped("unsubscribed"))]) == 1
    assert (desk.rows(send_id)[1].state, desk.rows(send_id)[1].reply) == (S.SKIPPED, "unsubscribed")


@pytest.mark.parametrize(
    ("change", "state"), [(deferred(), S.REFUSED), (REFUSED, S.REFUSED), (RELEASE_INTENT, S.UNCERTAIN)]
)
def test_after_the_lease_a_reply_is_an_end_and_nothing_is_given_back(desk, change, state):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, state=S.UNCERTAIN)
    assert desk.write([(tickets[0], change)]) == (state is S.REFUSED)
    assert desk.rows(send_id)[1].state is state


def test_a_claim_that_was_lost_is_not_skipped_although_it_is_uncertain(desk):
    send_id = desk.begun(1)
    (ticket,) = desk.tickets(send_id)
    desk.set(send_id, 1, state=S.UNCERTAIN)
    assert desk.write([(ticket, skipped("unsubscribed"))]) == 0
    assert desk.rows(send_id)[1].state is S.UNCERTAIN


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in (S.CLAIMED, S.SENDING)])
def test_an_intent_holds_only_for_what_is_claimed(desk, state):
    send_id = desk.begun(1)
    (ticket,) = desk.tickets(send_id)
    desk.set(send_id, 1, state=state)
    assert desk.write([(ticket, INTENT)]) == 0
    assert desk.rows(send_id)[1].state is state


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in (S.SENDING, S.UNCERTAIN)])
@pytest.mark.parametrize("change", [accepted(), REFUSED])
def test_an_outcome_is_written_only_to_what_was_being_sent(desk, change, state):
    send_id = desk.begun(1)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, state=state)
    assert desk.write([(tickets[0], change)]) == 0
    assert desk.rows(send_id)[1].state is state


CHANGES = [(S.CLAIMED, INTENT), (S.CLAIMED, RELEASE_CLAIM), (S.SENDING, accepted()), (S.SENDING, REFUSED)]


@pytest.mark.parametrize(("state", "change"), CHANGES)
def test_every_write_is_fenced_by_owner_epoch_seq_and_send(desk, state, change):
    send_id, other = desk.begun(3), desk.begun(3, prefix="other")
    tickets = desk.sending(send_id) if state is S.SENDING else desk.tickets(send_id)
    before = states(desk.rows(send_id))
    assert desk.write([(tickets[0], change)], owner=OTHER) == 0
    for strange in (Ticket(send_id, 1, 2), Ticket(send_id, 1, 0), Ticket(send_id, 4, 1), Ticket(other, 1, 1)):
        assert desk.write([(strange, change)]) == 0
    assert states(desk.rows(send_id)) == before
    assert desk.write([(tickets[1], change)]) == 1
    assert [row.state for row in desk.rows(send_id).values()] == [state, change.to, state]
    assert states(desk.rows(other)) == ["pending"] * 3


def test_a_write_names_only_the_rows_that_were_still_its_owners(desk):
    send_id = desk.begun(4)
    tickets = desk.sending(send_id, limit=2) + desk.tickets(send_id)
    desk.set(send_id, 1, owner=OTHER)
    desk.set(send_id, 3, epoch=2)
    changes = [(tickets[0], accepted()), (tickets[1], accepted()), (tickets[2], INTENT), (tickets[3], INTENT)]
    assert desk.write(changes) == 2
    assert states(desk.rows(send_id)) == ["sending", "accepted", "claimed", "sending"]


# -- what is held, renewed, alive ------------------------------------------------


def test_held_is_what_is_in_the_state_under_the_same_owner_and_epoch(desk):
    send_id = desk.begun(4)
    tickets = desk.sending(send_id)
    desk.set(send_id, 1, owner=OTHER)
    desk.set(send_id, 2, epoch=2)
    desk.set(send_id, 3, state=S.ACCEPTED)
    assert desk.held([*tickets, Ticket(send_id, 99, 1), Ticket(send_id + 1, 4, 1)]) == tickets[3:]
    assert desk.held(tickets, owner=OTHER) == tickets[:1]
    assert desk.held(tickets, S.ACCEPTED) == tickets[2:3]


def test_a_renewal_reaches_what_is_in_hand_and_tells_which(desk):
    first, second = desk.begun(7), desk.begun(1, prefix="other")
    tickets = desk.sending(first, limit=1) + desk.tickets(first) + desk.tickets(second)
    with desk.database.transaction() as session:
        session.execute(update(Delivery).values(lease_until=ago(1)))
    desk.set(first, 3, owner=OTHER)
    desk.set(first, 4, epoch=2)
    desk.set(first, 5, state=S.ACCEPTED)
    desk.set(first, 6, state=S.UNCERTAIN)
    desk.set(first, 7, state=S.PENDING)
    renewed = [tickets[0], tickets[1], tickets[7]]
    assert desk.renew(tickets) == renewed
    rows = [*desk.rows(first).values(), *desk.rows(second).values()]
    fresh = [seconds_from_now(row.lease_until) > LEASE_SECONDS - 5 for row in rows]
    assert fresh == [True, True, False, False, False, False, False, True]
    assert max(seconds_from_now(row.lease_until) for row in rows) <= LEASE_SECONDS
    assert states(desk.rows(first))[:2] == ["sending", "claimed"]


def test_only_what_was_asked_for_is_renewed(desk):
    send_id = desk.begun(2)
    first, second = desk.tickets(send_id)
    desk.set(send_id, 2, lease_until=ago(1))
    assert desk.renew([first]) == [first]
    assert seconds_from_now(desk.rows(send_id)[2].lease_until) < 0
    assert desk.renew([second]) == [second]


def test_a_sign_of_life_is_dated_and_counted_for_the_owner_with_the_mark(desk):
    with desk.database.transaction() as session:
        for mark in ("mine", "another"):
            session.add(SenderProcess(host="here", pid=1, mark=mark, started_at=ago(60), seen_at=ago(60)))
        session.flush()
        me, other = session.scalars(select(SenderProcess).order_by(SenderProcess.id))
    with desk.database.connection() as connection:
        assert [statements.show_life(connection, me.id, "mine") for _ in range(3)] == [1, 2, 3]
        assert statements.show_life(connection, me.id, "another") is None
        assert statements.show_life(connection, other.id + 1, "mine") is None
    with desk.database.read() as session:
        mine, another = session.get(SenderProcess, me.id), session.get(SenderProcess, other.id)
    assert is_now(mine.seen_at)
    assert (another.renewals, another.seen_at) == (0, other.seen_at)


if CHOICE != "sqlite":  # there one writes at a time, and everybody else waits

    def test_what_another_transaction_holds_is_passed_over(desk):
        send_id = desk.begun(3)
        with desk.database.connection() as connection:
            statements.claim(connection, OTHER, send_id, 0, 1)
            assert [one.seq for one in desk.claim(send_id, limit=1)] == [2]

    def test_a_pause_and_a_claim_wait_for_each_other(desk):
        send_id = desk.begun(1)
        with desk.database.connection() as connection:
            statements.claim(connection, ME, send_id, 0, 1)
            with desk.database.connection() as other:
                other.execute(text("SET lock_timeout = '100ms'"))
                lock = select(Send.id).where(Send.id == send_id)
                assert other.execute(lock.with_for_update(read=True)).one()  # another claim does not wait
                with pytest.raises(OperationalError, match="lock timeout"):
                    other.execute(lock.with_for_update())
