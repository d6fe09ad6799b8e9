"""F14, F15, F16: a message that cannot be made, readers who leave in mid-send, bounces that come twice."""

import time

import pytest
from crash.relay import OFFERS
from factories import events as returned
from factories.audience import SECRET
from factories.delivery import rows
from sqlalchemy import func, select

from newsletter import audience, delivery, events
from newsletter.audience.models import StatusChange, SubscriptionStatus
from newsletter.delivery.models import Recipient
from newsletter.events.models import Event

LATE_SECONDS = 1.0


def test_one_reader_of_a_thousand_whose_message_cannot_be_made_is_refused_alone(trial, database):
    send = trial(1000)
    with database.transaction() as session:
        session.get(Recipient, (send.send_id, 500)).address = "ben@example.org\r\nBcc: everybody@example.org"
    process = send.start()
    assert process.wait(60) == 0
    found = send.check()
    assert (found.accepted, found.refused) == (999, 1)
    assert found.summary == "complete with 1 refused"


@pytest.mark.parametrize("pace", [0.02, 0.5])
@pytest.mark.parametrize("offers", OFFERS)
def test_nobody_is_mailed_who_left_more_than_a_second_before(trial, relay, database, offers, pace):
    relay.pace, relay.offers = pace, OFFERS[offers]
    send = trial(600 if pace < 0.1 else 60)
    ledger = list(rows(database, send.send_id).values())
    with database.read() as session:
        publication = delivery.status(session, send.send_id).publication
    process = send.start(loop=True)
    relay.wait_for(len(ledger) // 10)
    left = {}
    for row in ledger[len(ledger) // 5 :: 4]:  # some have been served, some are about to be
        with database.transaction() as session:
            if row.seq % 8:
                audience.leave(session, audience.Reader(publication, row.subscriber_id, send.send_id), via="one-click")
            else:
                audience.suppress(session, SECRET, address=row.address, reason="manual", evidence="asked by phone")
        left[row.address] = time.time()
        time.sleep(pace / 2)
    relay.wait_for(len(ledger) - len(left))
    send.terminate(process)
    found = send.settled()
    late = {body.address: body.at - left[body.address] for body in relay.record if body.address in left}
    print(f"{found.skipped} skipped, the latest mail {max(late.values(), default=0):.2f} s after its reader left")
    assert found.skipped
    assert max(late.values(), default=0) <= LATE_SECONDS


def test_a_bounce_that_comes_twice_and_out_of_order_changes_a_reader_once(database, settings):
    ada = "ada@readers.example"
    with database.transaction() as session:
        over = returned.sent(session)
    soft = returned.dsn(ada, "451 4.4.1 No answer", status="4.4.1", action="delayed", ident="<2@mx.readers.example>")
    hard = returned.dsn(ada)
    for raw in (hard, soft, hard, b"Received: from elsewhere\n" + hard, soft):
        with database.transaction() as session:
            events.take(session, settings, channel="lmtp", envelope_to=over.return_path(ada), raw=raw)
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(StatusChange)).one() == 1
        assert returned.status(session, over, ada) is SubscriptionStatus.BOUNCED
        kinds = [event.hard for event in session.scalars(select(Event).order_by(Event.id))]
    assert kinds.count(True) == 1
