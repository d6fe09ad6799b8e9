"""What servers refuse during a send becomes bounced events, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from factories.events import refuse, sent, status
from sqlalchemy import select

from newsletter.audience.models import SubscriptionStatus
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.events import BounceClass, absorb_refusals
from newsletter.events.models import Event

ADA, BEN, CLEO = "ada@readers.example", "ben@readers.example", "cleo@elsewhere.example"


def events(database):
    with database.read() as session:
        return {event.seq: event for event in session.scalars(select(Event))}


def test_a_refusal_at_rcpt_reaches_the_readers_record(database, settings):
    with database.transaction() as session:
        over = sent(session)
        refuse(session, over.send_id, over.seq(ADA), "5.1.1 No such user")
        refuse(session, over.send_id, over.seq(BEN), "Sorry, no such user", command="DATA")
        refuse(session, over.send_id, over.seq(CLEO), "5.7.1 listed at zen.spamhaus.org", code=554)
    assert absorb_refusals(database, settings, over.send_id) == 3
    found = events(database)
    assert found[1].origin == f"rcpt:{over.send_id}:1:1"
    assert [found[n].bounce_class for n in (1, 2, 3)] == [
        BounceClass.BAD_MAILBOX,
        BounceClass.REFUSED,  # after DATA a filter may say it
        BounceClass.BLOCK_REPUTATION,
    ]
    with database.read() as session:
        assert status(session, over, ADA) is SubscriptionStatus.BOUNCED
        assert status(session, over, BEN) is SubscriptionStatus.ACTIVE
        assert status(session, over, CLEO) is SubscriptionStatus.ACTIVE


def test_absorbing_again_changes_nothing_but_finds_the_refusal_of_a_retry(database, settings):
    with database.transaction() as session:
        over = sent(session)
        refuse(session, over.send_id, 1, "5.2.2 full", code=552)
    assert absorb_refusals(database, settings) == 1
    assert absorb_refusals(database, settings) == 0
    with database.transaction() as session:
        session.get(Delivery, (over.send_id, 1)).attempt = 2
    assert absorb_refusals(database, settings) == 1


def test_what_was_not_a_permanent_refusal_is_no_bounce(database, settings):
    with database.transaction() as session:
        over = sent(session)
        refuse(session, over.send_id, 1, "4.2.0 try later, and the time is over", code=450)
        session.get(Delivery, (over.send_id, 2)).state = DeliveryState.REFUSED  # could not be rendered: no code
    assert absorb_refusals(database, settings, over.send_id) == 0


def test_a_refusal_at_mail_is_never_the_readers_fault(database, settings):
    with database.transaction() as session:
        over = sent(session)
        refuse(session, over.send_id, 1, "5.1.1 user unknown", command="MAIL")
    absorb_refusals(database, settings, over.send_id)
    assert events(database)[1].bounce_class is BounceClass.BLOCK_REPUTATION


def test_thousands_are_absorbed_once_by_two_workers(database, settings):
    with database.transaction() as session:
        over = sent(session, readers=tuple(f"reader{n}@readers.example" for n in range(1, 1202)))
        for seq in range(1, 1202):
            refuse(session, over.send_id, seq, "5.2.2 full", code=552)
    with ThreadPoolExecutor(2) as pool:
        new = list(pool.map(lambda _: absorb_refusals(database, settings, over.send_id), range(2)))
    assert sum(new) == 1201
    assert len(events(database)) == 1201
