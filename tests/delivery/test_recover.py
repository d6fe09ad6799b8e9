import datetime as dt
import json
import subprocess
import sys
import time

import pytest
from factories.delivery import Inbox, begun, rows, scheduled, status, with_relay
from sqlalchemy import event, select, update

from newsletter import delivery, issues, publications
from newsletter.delivery import statements
from newsletter.delivery.changes import INTENT, RELEASE_INTENT, of_outcome
from newsletter.delivery.frames import STALE_SECONDS
from newsletter.delivery.lines import AHEAD
from newsletter.delivery.models import Delivery, DeliveryState, SenderProcess, SendState
from newsletter.delivery.recover import ASSUMED, CRASHED, finish
from newsletter.delivery.send import RENEW_SECONDS
from newsletter.delivery.statements import Ticket
from newsletter.delivery.transports.outcomes import Accepted, Deferred, Refused, Reply, Uncertain
from newsletter.jobs.sweeper import PERIOD
from newsletter.kit import clock, smtpd, wake
from newsletter.kit.processes import identity
from newsletter.publications import UncertainPolicy

ME, OTHER = 7, 8
RELAY = "smtp://127.0.0.1:1"


@pytest.fixture
def relayed(settings):
    return settings.model_copy(update={"smtp_url": (RELAY,)})


def claimed(database, send_id, owner=ME, limit=10):
    with database.connection() as connection:
        found = statements.claim(connection, owner, send_id, 0, limit)
    return [Ticket(send_id, one.seq, one.epoch) for one in found]


def write(database, tickets, change, owner=ME):
    with database.connection() as connection:
        return statements.write(connection, owner, [(ticket, change) for ticket in tickets])


def outcome(reply):
    return of_outcome(reply, attempt=1, relay="mx:25", window_left=1e6, patience=delivery.Patience())


def age(database, send_id, *, seconds):
    """Let so much time pass for the rows of a send."""
    with database.transaction() as session:
        for row in session.scalars(select(Delivery).where(Delivery.send_id == send_id)):
            for name in ("lease_until", "outcome_at", "not_before"):
                if (instant := getattr(row, name)) is not None:
                    setattr(row, name, instant - dt.timedelta(seconds=seconds))


def crashed(database, settings, *, policy=UncertainPolicy.ASSUME_ACCEPTED):
    """A send of six: two accepted, two on the wire and two claimed by a process that is no more."""
    send_id = begun(database, settings, 6, uncertain_policy=policy)
    tickets = claimed(database, send_id)
    assert write(database, tickets[:4], INTENT) == 4
    assert write(database, tickets[:2], outcome(Accepted(Reply(250, "2.0.0 Ok")))) == 2
    return send_id, tickets


def test_while_the_lease_holds_nothing_is_touched(database, relayed):
    send_id, _ = crashed(database, relayed)
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.accepted, found.sending, found.claimed) == (2, 2, 2)


def test_after_the_lease_the_claimed_are_pending_and_the_sending_uncertain(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.accepted, found.uncertain, found.pending) == (2, 2, 2)
    assert [row.seq for row in rows(database, send_id).values() if row.state is DeliveryState.UNCERTAIN] == [3, 4]


def test_a_zombie_changes_nothing_after_its_lease(database, relayed):
    send_id, tickets = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert write(database, tickets[4:], INTENT) == 0
    again = claimed(database, send_id, owner=OTHER)
    assert [(one.seq, one.epoch) for one in again] == [(5, 3), (6, 3)]
    assert write(database, tickets[4:], INTENT) == 0
    assert write(database, again, INTENT, owner=ME) == 0
    assert write(database, again, INTENT, owner=OTHER) == 2
    assert write(database, tickets[4:], outcome(Accepted(Reply(250, "late")))) == 0


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (Accepted(Reply(250, "2.0.0 at last")), DeliveryState.ACCEPTED),
        (Refused("DATA", Reply(554, "5.7.1 no")), DeliveryState.REFUSED),
        (Deferred("DATA", Reply(451, "4.3.0 later")), DeliveryState.REFUSED),  # nobody waits for it any more
    ],
)
def test_a_reply_that_its_owner_reads_after_all_is_evidence(database, relayed, reply, state):
    send_id, tickets = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert write(database, tickets[2:3], outcome(reply)) == 1
    assert rows(database, send_id)["reader3@example.org"].state is state


def test_the_policy_decides_after_a_quarter_of_an_hour_without_evidence(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=800)
    delivery.recover(database)
    assert status(database, send_id).uncertain == 2
    age(database, send_id, seconds=101)
    delivery.recover(database)
    assert status(database, send_id).accepted == 4
    assert "assumed accepted" in rows(database, send_id)["reader3@example.org"].reply


def test_the_policy_send_again_sends_again_even_after_the_send_was_complete(database, settings):
    inbox = Inbox()
    inbox.at_data["reader2@example.org"] = [smtpd.Answer(drop=True)]
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server)
        send_id = begun(database, relayed, 3, uncertain_policy=UncertainPolicy.SEND_AGAIN)
        delivery.run(database, relayed)
        assert status(database, send_id).summary == "complete with 1 uncertain"
        age(database, send_id, seconds=901)
        delivery.recover(database)
        assert status(database, send_id).state is SendState.SENDING
        delivery.run(database, relayed)
    assert inbox.received["reader2@example.org"] == 2
    assert status(database, send_id).summary == "complete"


def test_the_policy_hold_leaves_it_to_a_person(database, relayed):
    send_id, _ = crashed(database, relayed, policy=UncertainPolicy.HOLD)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=90_000)
    delivery.recover(database)
    assert status(database, send_id).uncertain == 2


SENDING = """
import json, sys
from newsletter import config, delivery
from newsletter.db import Database
settings = config.load(**json.loads(sys.argv[1]))
delivery.run(Database.of(settings), settings)
"""


def sending(settings):
    """A process that sends."""
    names = ("database_url", "base_url", "secret_key")
    given = {name: getattr(settings, name) for name in names}
    given |= {"data_dir": str(settings.data_dir), "smtp_url": " ".join(settings.smtp_url)}
    return subprocess.Popen([sys.executable, "-c", SENDING, json.dumps(given)])


@pytest.fixture
def stuck(database, settings):
    """A send of 100 in mid-send: the relay has 2 bodies and does not answer."""
    inbox = Inbox()
    inbox.at_data = {f"reader{n}@example.org": smtpd.Answer("250 too late", delay=600) for n in range(1, 101)}
    with smtpd.Server(inbox) as server:
        relayed = with_relay(settings, server, options="connections=2")
        send_id = begun(database, relayed, 100)
        process = sending(relayed)
        try:
            until(lambda: _is_stuck(status(database, send_id)))
            yield send_id, process
        finally:
            process.kill()
            process.wait()


def _is_stuck(found):
    """Whether nothing will change any more: both connections have all they may have, and more is claimed."""
    return found.sending == 2 * AHEAD and found.claimed > 0


def until(condition, seconds=30):
    over = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < over
        time.sleep(0.02)


def test_what_a_killed_process_of_this_machine_held_is_free_at_once(database, stuck):
    send_id, process = stuck
    process.kill()
    process.wait()
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.claimed, found.sending) == (0, 0)
    assert 2 <= found.uncertain <= 4
    assert found.pending == 100 - found.uncertain


def test_what_a_living_process_holds_stays_with_it(database, stuck):
    send_id, _ = stuck
    delivery.recover(database)
    found = status(database, send_id)
    assert min(found.claimed, found.sending) > 0
    assert found.uncertain == 0


def test_a_process_of_another_machine_keeps_what_it_holds_until_its_lease_ends(database, stuck):
    send_id, process = stuck
    process.kill()
    process.wait()
    with database.transaction() as session:
        (sender,) = session.scalars(select(SenderProcess))
        sender.process = f"another-boot{sender.process}"
    delivery.recover(database)
    assert status(database, send_id).claimed > 0
    age(database, send_id, seconds=46)
    delivery.recover(database)
    assert status(database, send_id).claimed == 0


def test_a_killed_process_is_looked_after_until_none_of_its_statements_can_come_any_more(database, stuck):
    _, process = stuck
    process.kill()
    process.wait()
    delivery.recover(database)
    with database.transaction() as session:
        (row,) = delivery.senders(session)
        assert row.pid == process.pid
        session.execute(update(SenderProcess).values(seen_at=row.seen_at - dt.timedelta(seconds=46)))
    delivery.recover(database)
    with database.read() as session:
        assert delivery.senders(session) == []


def test_others_go_on_within_a_minute_of_a_workers_end():
    assert statements.LEASE_SECONDS + PERIOD < 60
    assert RENEW_SECONDS * 2 < STALE_SECONDS < statements.LEASE_SECONDS


def test_evidence_settles_what_is_uncertain_and_nothing_else(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    with database.transaction() as session:
        assert delivery.settle(session, send_id, [3], evidence="opened") == 1
        assert delivery.settle(session, send_id, [3], evidence="opened") == 0
        assert delivery.settle(session, send_id, [1], evidence="opened") == 0
        assert delivery.settle(session, send_id, [5], evidence="opened") == 0
    assert rows(database, send_id)["reader3@example.org"].reply == "evidence: opened"


def test_a_cancelled_send_is_looked_after_until_its_wire_is_settled(database, relayed):
    send_id, _ = crashed(database, relayed, policy=UncertainPolicy.SEND_AGAIN)
    with database.transaction() as session:
        delivery.cancel(session, send_id)
    delivery.recover(database)
    assert status(database, send_id).sending == 2
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=90_000)
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.state, found.accepted, found.uncertain, found.skipped) == (SendState.CANCELLED, 2, 2, 2)
    assert _unsettled(database, send_id) == 0


@pytest.mark.parametrize("change", [outcome(Deferred("RCPT", Reply(451, "later"))), RELEASE_INTENT])
def test_what_comes_back_from_the_wire_of_a_cancelled_send_is_called_off(database, relayed, change):
    send_id, tickets = crashed(database, relayed)
    with database.transaction() as session:
        delivery.cancel(session, send_id)
    assert write(database, tickets[2:4], change) == 2
    finish(database, send_id)  # as the run does that wrote them
    found = status(database, send_id)
    assert (found.accepted, found.skipped) == (2, 4)
    assert {row.reply for row in rows(database, send_id).values() if row.state is DeliveryState.SKIPPED} == {
        "cancelled"
    }
    assert _unsettled(database, send_id) == 0


def test_what_comes_back_after_its_run_has_ended_is_called_off_by_the_next_sweep(database, relayed):
    send_id, tickets = crashed(database, relayed)
    with database.transaction() as session:
        delivery.cancel(session, send_id)
    begun(database, relayed, 1, prefix="another")  # a send beside it is none of its business
    delivery.recover(database)
    assert write(database, tickets[2:4], outcome(Deferred("RCPT", Reply(451, "later")))) == 2
    age(database, send_id, seconds=500)
    delivery.recover(database)
    assert status(database, send_id).skipped == 4
    assert _unsettled(database, send_id) == 0
    assert (clock.now() - rows(database, send_id)["reader3@example.org"].outcome_at).total_seconds() < 5


def test_a_sweep_touches_only_what_has_run_out(database, relayed):
    send_id, tickets = crashed(database, relayed)
    age(database, send_id, seconds=61)
    with database.connection() as connection:
        statements.renew(connection, ME, tickets[2:3])
    delivery.recover(database)
    found = {row.seq: row.state for row in rows(database, send_id).values()}
    assert [str(found[seq]) for seq in range(1, 7)] == [
        "accepted", "accepted", "sending", "uncertain", "pending", "pending",
    ]  # fmt: skip


def test_a_sweep_ends_leases_and_notes_when_and_why(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    with database.read() as session:
        found = {row.seq: row for row in session.scalars(select(Delivery).where(Delivery.send_id == send_id))}
    assert {row.lease_until for row in found.values()} == {None}
    assert [found[seq].epoch for seq in range(1, 7)] == [1, 1, 1, 1, 2, 2]
    assert abs((clock.now() - found[3].outcome_at).total_seconds()) < 5
    assert found[3].reply == CRASHED


def test_one_send_is_recovered_without_touching_another(database, relayed):
    first, _ = crashed(database, relayed)
    second = begun(database, relayed, 0, addresses=("ana@example.org", "ben@example.org"))
    write(database, claimed(database, second)[:1], INTENT)
    age(database, first, seconds=61)
    delivery.recover(database)
    assert (status(database, first).uncertain, status(database, first).pending) == (2, 2)
    assert (status(database, second).sending, status(database, second).claimed) == (1, 1)


def test_a_paused_send_is_recovered_and_stays_paused(database, relayed):
    send_id, _ = crashed(database, relayed)
    with database.transaction() as session:
        delivery.pause(session, send_id)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.state, found.uncertain, found.pending) == (SendState.PAUSED, 2, 2)
    finish(database, send_id)
    assert status(database, send_id).state is SendState.PAUSED
    assert _unsettled(database, send_id) == 0


def test_what_is_decided_to_be_sent_again_is_a_new_claim_and_wakes_the_workers(database, relayed):
    send_id, tickets = crashed(database, relayed, policy=UncertainPolicy.SEND_AGAIN)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=901)
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    delivery.recover(database)
    wake.register(None)
    assert hints == [("deliver", send_id)]
    assert status(database, send_id).pending == 4
    assert write(database, tickets[2:4], outcome(Accepted(Reply(250, "far too late")))) == 0


def test_without_anything_to_send_again_nobody_is_woken(database, relayed):
    send_id, _ = crashed(database, relayed, policy=UncertainPolicy.SEND_AGAIN)
    age(database, send_id, seconds=61)
    hints = []
    wake.register(lambda topic, ident: hints.append((topic, ident)))
    delivery.recover(database)
    wake.register(None)
    assert hints == []


def test_what_was_assumed_keeps_what_was_known_and_fits_its_column(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    with database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.seq == 3).values(reply="x" * 499))
        session.execute(update(Delivery).where(Delivery.seq == 4).values(reply=None))
    age(database, send_id, seconds=901)
    delivery.recover(database)
    found = rows(database, send_id)
    assert found["reader3@example.org"].reply == "x" * 499 + ";"
    assert found["reader4@example.org"].reply == f"; {ASSUMED}"


def test_evidence_is_dated_and_fits_its_column(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=500)
    with database.transaction() as session:
        assert delivery.settle(session, send_id, [4], evidence="o" * 600) == 1
        assert delivery.settle(session, send_id + 1, [3], evidence="opened") == 0
    row = rows(database, send_id)["reader4@example.org"]
    assert len(row.reply) == 500
    assert abs((clock.now() - row.outcome_at).total_seconds()) < 5
    assert status(database, send_id).uncertain == 1


def test_a_send_ends_once_with_its_hour_and_its_issue(database, relayed):
    send_id = begun(database, relayed, 2)
    finish(database, send_id)
    assert status(database, send_id).state is SendState.SENDING
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.ACCEPTED))
    finish(database, send_id)
    ended = status(database, send_id)
    assert _unsettled(database, send_id) == 0
    assert abs((clock.now() - ended.finished_at).total_seconds()) < 5
    with database.read() as session:
        assert issues.get(session, ended.issue).state is issues.IssueState.SENT
    finish(database, send_id)
    assert status(database, send_id).finished_at == ended.finished_at
    finish(database, send_id + 1)


def test_a_send_that_has_not_begun_is_not_ended(database, relayed):
    send_id = scheduled(database, 2)
    finish(database, send_id)
    assert status(database, send_id).state is SendState.SCHEDULED


def test_an_uncertain_delivery_that_is_held_leaves_nothing_to_look_after(database, relayed):
    send_id, tickets = crashed(database, relayed, policy=UncertainPolicy.HOLD)
    write(database, tickets[4:], INTENT)
    write(database, tickets[4:], outcome(Accepted(Reply(250, "Ok"))))
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert status(database, send_id).summary == "complete with 2 uncertain"
    assert _unsettled(database, send_id) == 0


def test_recovering_ends_a_send_that_nobody_else_ended(database, relayed):
    send_id = begun(database, relayed, 2)
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.ACCEPTED))
    delivery.recover(database)
    assert status(database, send_id).summary == "complete"


def test_an_uncertain_delivery_of_a_complete_send_is_settled_and_then_left_alone(database, relayed):
    send_id = begun(database, relayed, 2)
    tickets = claimed(database, send_id)
    write(database, tickets, INTENT)
    write(database, tickets[:1], outcome(Accepted(Reply(250, "Ok"))))
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert status(database, send_id).summary == "complete with 1 uncertain"
    assert _unsettled(database, send_id) == 1
    age(database, send_id, seconds=901)
    delivery.recover(database)
    assert status(database, send_id).summary == "complete"
    assert _unsettled(database, send_id) == 0


def _unsettled(database, send_id):
    with database.read() as session:
        return session.get(delivery.models.Send, send_id).unsettled


@pytest.fixture
def gone():
    """The name of a process of this machine that runs no more."""
    with subprocess.Popen(["sleep", "60"]) as process:
        name = identity(process.pid)
        process.kill()
    return name


def enter(database, process, *, seen_ago=0):
    """Enter a process among the senders; returns its number as an owner."""
    moment = clock.now() - dt.timedelta(seconds=seen_ago)
    with database.transaction() as session:
        row = SenderProcess(host="here", pid=1, process=process, started_at=moment, seen_at=moment)
        session.add(row)
        session.flush()
        return row.id


def test_the_leases_of_a_process_that_is_gone_have_run_out_and_no_others(database, relayed, gone):
    send_id = begun(database, relayed, 6)
    dead, living = enter(database, gone), enter(database, identity())
    for owner in (dead, living):
        tickets = claimed(database, send_id, owner=owner, limit=3)
        assert write(database, tickets[:1], INTENT, owner=owner) == 1
    delivery.recover(database)
    found = {row.seq: str(row.state) for row in rows(database, send_id).values()}
    assert [found[seq] for seq in range(1, 7)] == ["uncertain", "pending", "pending", "sending", "claimed", "claimed"]


def test_a_gone_process_signs_out_when_it_was_silent_for_a_lease_and_a_living_one_never(database, relayed, gone):
    silent = statements.LEASE_SECONDS + 1
    enter(database, gone)
    enter(database, identity(), seen_ago=silent)
    signed_out = enter(database, gone, seen_ago=silent)
    delivery.recover(database)
    with database.read() as session:
        found = {row.id: row.stopped_at for row in session.scalars(select(SenderProcess))}
    assert [sender for sender, stopped_at in found.items() if stopped_at] == [signed_out]
    assert abs((clock.now() - found[signed_out]).total_seconds()) < 5


@pytest.mark.parametrize(("intended", "state"), [(0, "pending"), (2, "uncertain")])
def test_leases_of_one_kind_alone_run_out_too(database, relayed, intended, state):
    send_id = begun(database, relayed, 3)
    tickets = claimed(database, send_id, limit=2)
    write(database, tickets[:intended], INTENT)
    age(database, send_id, seconds=46)
    delivery.recover(database)
    found = {row.seq: str(row.state) for row in rows(database, send_id).values()}
    assert found == {1: state, 2: state, 3: "pending"}


def test_a_sweep_that_finds_nothing_to_do_writes_nothing(database, relayed):
    send_id, _ = crashed(database, relayed)
    cancelled = begun(database, relayed, 2, prefix="another")
    write(database, claimed(database, cancelled, limit=1), INTENT)
    with database.transaction() as session:
        delivery.cancel(session, cancelled)
    written = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: written.append(given[2]))
    delivery.recover(database)
    assert status(database, send_id).sending == 2
    assert not [statement for statement in written if statement.startswith(("UPDATE", "WITH"))]


def test_a_quarter_of_an_hour_is_enough(database, relayed):
    send_id, _ = crashed(database, relayed)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    age(database, send_id, seconds=900)
    delivery.recover(database)
    assert status(database, send_id).accepted == 4


def test_what_was_held_for_a_person_stays_so_when_the_policy_changes_after_the_end(database, relayed):
    send_id = begun(database, relayed, 1, uncertain_policy=UncertainPolicy.HOLD)
    write(database, claimed(database, send_id), INTENT)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert status(database, send_id).summary == "complete with 1 uncertain"
    with database.transaction() as session:
        publication = publications.by_id(session, delivery.status(session, send_id).publication)
        publications.update(session, publication, uncertain_policy=UncertainPolicy.ASSUME_ACCEPTED)
    age(database, send_id, seconds=901)
    delivery.recover(database)
    assert status(database, send_id).uncertain == 1


def test_a_complete_send_that_sends_again_has_not_ended_any_more(database, relayed):
    send_id = begun(database, relayed, 1, uncertain_policy=UncertainPolicy.SEND_AGAIN)
    write(database, claimed(database, send_id), INTENT)
    age(database, send_id, seconds=61)
    delivery.recover(database)
    assert (status(database, send_id).summary, _unsettled(database, send_id)) == ("complete with 1 uncertain", 1)
    with database.transaction() as session:  # it ends again later: then the sum is reckoned anew
        session.get(delivery.models.Send, send_id).unsettled = 7
    age(database, send_id, seconds=901)
    delivery.recover(database)
    found = status(database, send_id)
    assert (found.state, found.finished_at, found.pending) == (SendState.SENDING, None, 1)
    assert _unsettled(database, send_id) == 0


def test_a_cancelled_send_knows_how_much_is_on_the_wire_or_undecided(database, relayed):
    send_id, tickets = crashed(database, relayed)
    with database.transaction() as session:
        delivery.cancel(session, send_id)
    assert write(database, tickets[2:3], outcome(Uncertain("the server closed the connection"))) == 1
    finish(database, send_id)
    assert _unsettled(database, send_id) == 2
