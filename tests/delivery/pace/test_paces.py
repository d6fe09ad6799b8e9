import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories.delivery import begun, rows
from factories.paces import age, pace
from sqlalchemy import update

from newsletter import delivery
from newsletter.delivery.models import Delivery, DeliveryState, PaceState
from newsletter.delivery.pace import paces
from newsletter.delivery.transports.relays import Relay
from newsletter.errors import Invalid, NotFound
from newsletter.kit import clock, wake


def test_every_provider_has_a_pace_although_nobody_wrote_it_down(database):
    with database.read() as session:
        found = delivery.every_pace(session)
    assert [row.name for row in found] == ["other", "gmail", "yahoo", "microsoft", "apple"]
    assert {row.state for row in found} == {PaceState.FLOWING}


def test_turns_are_shared_by_all_who_ask_at_once(database):
    with database.transaction() as session:
        delivery.set_pace(session, "gmail", 1200)
    with ThreadPoolExecutor(6) as desks:
        given = [one[0] for one in desks.map(lambda _: paces.take(database, "gmail", 500), range(12))]
    assert sum(given) in (20, 40)  # a second's worth, or two if the asking took so long
    assert set(given) <= {0, 20}


def test_turns_that_came_back_can_be_had_again(database):
    with database.transaction() as session:
        delivery.set_pace(session, "gmail", 60)
    assert paces.take(database, "gmail", 5)[0] == 1
    paces.give_back(database, "gmail", 1)
    assert paces.take(database, "gmail", 5)[0] == 1


def test_what_many_notice_at_once_happens_once(database):
    with ThreadPoolExecutor(6) as desks:
        list(desks.map(lambda _: paces.slow(database, "gmail", 6000.0, "421 slow down"), range(6)))
    assert pace(database, "gmail").slowed_to == 3000
    with ThreadPoolExecutor(6) as desks:
        list(desks.map(lambda _: paces.pause(database, "gmail", 6000.0, "550 5.7.26 no"), range(6)))
    found = pace(database, "gmail")
    assert found.state is PaceState.PAUSED
    assert found.reason == "550 5.7.26 no"


def test_one_worker_gets_the_probe(database):
    paces.pause(database, "gmail", 6000.0, "550 5.7.26 no")
    assert paces.take(database, "gmail", 500)[0] == 0
    age(database, "gmail", minutes=2)
    with ThreadPoolExecutor(4) as desks:
        given = [one[0] for one in desks.map(lambda _: paces.take(database, "gmail", 500), range(4))]
    assert sorted(given) == [0, 0, 0, 5]


def test_who_was_deferred_for_our_fault_is_due_when_mail_flows_again(database, settings):
    hints = []
    wake.register(lambda topic, ident: hints.append(topic))
    relayed = settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})
    addresses = ("ours@gmail.com", "theirs@gmail.com", "elsewhere@yahoo.com")
    send_id = begun(database, relayed, 0, addresses=addresses)
    waiting = clock.now() + dt.timedelta(hours=1)
    with database.transaction() as session:
        for seq, code in ((1, 550), (2, 451), (3, 550)):
            session.execute(
                update(Delivery)
                .where(Delivery.seq == seq)
                .values(state=DeliveryState.DEFERRED, code=code, not_before=waiting)
            )
    paces.pause(database, "gmail", 600.0, "550 5.7.26 no")
    hints.clear()
    paces.reopen(database, "gmail")
    wake.register(None)
    found = {address: row.not_before for address, row in rows(database, send_id).items()}
    assert found == {"ours@gmail.com": None, "theirs@gmail.com": waiting, "elsewhere@yahoo.com": waiting}
    assert hints == ["deliver"]
    assert pace(database, "gmail").state is PaceState.SLOWED


def test_reopening_what_flows_changes_nothing(database):
    paces.reopen(database, "gmail")
    assert pace(database, "gmail").state is PaceState.FLOWING


def test_a_person_resumes_at_once_and_keeps_the_limit(database):
    with database.transaction() as session:
        delivery.set_pace(session, "gmail", 700)
    paces.pause(database, "gmail", 6000.0, "550 5.7.26 no")
    with database.transaction() as session:
        row = delivery.resume_pace(session, "gmail")
    assert (row.state, row.per_minute, row.reason) == (PaceState.FLOWING, 700, "")


def test_what_does_not_exist_cannot_be_set_or_resumed(database):
    with database.transaction() as session:
        with pytest.raises(NotFound, match=r"no mailbox provider “hotmail”.*microsoft"):
            delivery.set_pace(session, "hotmail", 5)
        with pytest.raises(NotFound, match=r"no pace “relay:mx:25”"):
            delivery.resume_pace(session, "relay:mx:25")
        with pytest.raises(Invalid, match="from 1"):
            delivery.set_pace(session, "gmail", 0)


def test_the_settings_are_written_down_and_taken_away_again(database):
    since = dt.date(2026, 11, 1)
    paces.prepare(database, [Relay.parse("smtp://mx?rate=90"), Relay.parse("smtp://mx:587")], since)
    with database.read() as session:
        found = {row.name: row for row in delivery.every_pace(session)}
    assert found["relay:mx:25"].per_minute == 90
    assert "relay:mx:587" not in found
    assert found["other"].warming_since == since
    paces.prepare(database, [Relay.parse("smtp://mx")], None)
    assert pace(database, "relay:mx:25").per_minute is None
    assert pace(database, "apple").warming_since is None


def test_without_anything_to_write_down_no_row_is_made(database):
    paces.prepare(database, [Relay.parse("smtp://mx")], None)
    with database.read() as session:
        assert paces.read(session)[0] == {}
