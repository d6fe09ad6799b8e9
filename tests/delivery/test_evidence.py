import pytest
from factories.delivery import begun, rows, status
from sqlalchemy import select, update

from newsletter import delivery
from newsletter.delivery.evidence import taken
from newsletter.delivery.models import Delivery, DeliveryState, Recipient
from newsletter.delivery.tracking import Marks
from newsletter.errors import NotFound

DOMAIN = "example.org"
LOG = """\
Nov 22 18:00:01 mx postfix/smtpd[1]: connect from news.example.org[192.0.2.1]
Nov 22 18:00:01 mx postfix/cleanup[2]: {queue}: message-id=<{ident}>
Nov 22 18:00:01 mx postfix/qmgr[3]: {queue}: from=<b+abc@example.org>, size=20123, nrcpt=1 (queue active)
Nov 22 18:00:02 mx postfix/smtp[4]: {queue}: to=<r@example.net>, relay=mx.example.net[192.0.2.9]:25, dsn=2.0.0, \
status=sent (250 2.0.0 Ok)
Nov 22 18:00:02 mx postfix/qmgr[3]: {queue}: removed
"""


def log(ident, queue="4bX1yZ3Qk9z7"):
    return LOG.format(ident=ident, queue=queue).splitlines()


@pytest.fixture
def send_id(database, settings):
    return begun(database, settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)}), 4)


def all_are(database, state):
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=state))


def message_id(database, settings, send_id, seq):
    with database.read() as session:
        reader = session.scalars(select(Recipient).where(Recipient.send_id == send_id, Recipient.seq == seq)).one()
        domain = delivery.first_mails(session, settings, send_id, 1)[0].message.split(b"From: ")[1]
    domain = domain.split(b"\r\n")[0].decode().rpartition("@")[2].rstrip(">")
    return Marks(settings.secret).message_id(send_id, reader.subscriber_id, domain)


def settled(database, settings, send_id, lines):
    with database.transaction() as session:
        return delivery.settle_by_log(session, settings, send_id, lines)


def test_what_the_relays_log_names_is_accepted_with_the_line_and_the_others_stay(database, settings, send_id):
    all_are(database, DeliveryState.UNCERTAIN)
    assert settled(database, settings, send_id, log(message_id(database, settings, send_id, 2))) == 1
    found = rows(database, send_id)
    assert found["reader2@example.org"].state is DeliveryState.ACCEPTED
    assert "status=sent (250 2.0.0 Ok)" in found["reader2@example.org"].reply
    assert status(database, send_id).uncertain == 3


def test_message_ids_alone_are_a_log_too(database, settings, send_id):
    all_are(database, DeliveryState.UNCERTAIN)
    lines = [f"<{message_id(database, settings, send_id, seq)}>\n" for seq in (1, 2, 3)]
    assert settled(database, settings, send_id, lines) == 3
    assert settled(database, settings, send_id, lines) == 0


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.DEFERRED])
def test_after_a_restored_backup_the_log_speaks_for_those_who_wait(database, settings, send_id, state):
    all_are(database, state)
    lines = log(message_id(database, settings, send_id, 4))
    assert settled(database, settings, send_id, lines) == 0, "while it is being sent the ledger knows better"
    with database.transaction() as session:
        delivery.pause(session, send_id)
    assert settled(database, settings, send_id, lines) == 1
    assert status(database, send_id).accepted == 1


@pytest.mark.parametrize("state", [DeliveryState.SENDING, DeliveryState.REFUSED, DeliveryState.SKIPPED])
def test_what_has_an_outcome_or_is_on_the_wire_is_left_alone(database, settings, send_id, state):
    all_are(database, state)
    assert settled(database, settings, send_id, log(message_id(database, settings, send_id, 1))) == 0


def test_a_mail_that_never_came_into_the_relays_queue_is_no_evidence():
    begun_only = log(f"abc@{DOMAIN}")[:2]
    assert taken(begun_only, DOMAIN) == {}
    assert list(taken(log(f"abc@{DOMAIN}")[:3], DOMAIN)) == [f"abc@{DOMAIN}"]


def test_entries_of_several_mails_may_be_mixed_and_other_mail_is_not_kept():
    ours, others = log(f"a@{DOMAIN}", "AAAAA1"), log("b@else.where", "BBBBB2")
    mixed = [line for pair in zip(ours, others, strict=True) for line in pair]
    assert list(taken(["", "no log at all", *mixed], DOMAIN)) == [f"a@{DOMAIN}"]


def test_a_send_that_is_not_there_is_said_so(database, settings):
    with pytest.raises(NotFound):
        settled(database, settings, 99, [])
