import datetime as dt
import threading

import pytest
from factories.audience import SECRET, subscriber
from factories.delivery import begun
from factories.names import NameServer
from factories.publications import publication
from sqlalchemy import select

from newsletter.delivery import look_up_domains
from newsletter.delivery.models import Delivery, MailboxDomain, Recipient
from newsletter.delivery.pace import mailboxes
from newsletter.delivery.pace.providers import Provider
from newsletter.kit import clock

DAY = dt.timedelta(days=1)


@pytest.fixture
def names():
    with NameServer() as server:
        server.exchangers = {
            "workspace.edu": ["20 alt1.aspmx.l.google.com.", "10 aspmx.l.google.com."],
            "office.edu": ["0 office-edu.mail.protection.outlook.com."],
            "own.edu": ["10 mx.own.edu.", "90 aspmx.l.google.com."],
        }
        yield server


def readers(database, *domains, each=3):
    with database.transaction() as session:
        weekly = publication(session, "weekly")
        for domain in domains:
            for n in range(each):
                subscriber(session, SECRET, f"reader{n}@{domain}", weekly.id)


def known(database):
    with database.read() as session:
        return {row.domain: row for row in session.scalars(select(MailboxDomain))}


def lanes(database, send_id):
    with database.read() as session:
        joined = (Recipient.send_id == Delivery.send_id) & (Recipient.seq == Delivery.seq)
        rows = session.execute(
            select(Recipient.address, Delivery.lane).join(Recipient, joined).where(Delivery.send_id == send_id)
        )
        return {address: Provider(lane) for address, lane in rows}


def test_the_dns_tells_who_hosts_a_domain(database, names):
    readers(database, "workspace.edu", "office.edu", "own.edu", "gone.edu")
    assert look_up_domains(database, names.resolver) == 4
    found = known(database)
    assert {domain: Provider(row.lane) for domain, row in found.items()} == {
        "workspace.edu": Provider.GMAIL,
        "office.edu": Provider.MICROSOFT,
        "own.edu": Provider.OTHER,
        "gone.edu": Provider.OTHER,
    }
    assert all(29 * DAY < row.look_up_at - clock.now() < 31 * DAY for row in found.values())


def test_what_is_known_is_not_asked_again_before_its_time(database, names):
    readers(database, "workspace.edu")
    look_up_domains(database, names.resolver)
    look_up_domains(database, names.resolver)
    assert names.asked == {"workspace.edu": 1}
    with database.transaction() as session:
        session.get(MailboxDomain, "workspace.edu").look_up_at = clock.now() - DAY
    names.exchangers["workspace.edu"] = ["0 workspace-edu.mail.protection.outlook.com."]
    look_up_domains(database, names.resolver)
    assert known(database)["workspace.edu"].lane == Provider.MICROSOFT


def test_a_failure_is_remembered_for_a_day_and_forgets_nothing(database, names, monkeypatch):
    monkeypatch.setattr(mailboxes, "SECONDS", 0.2)
    readers(database, "workspace.edu", "mute.edu")
    names.silent = {"mute.edu"}
    assert look_up_domains(database, names.resolver) == 1
    with database.transaction() as session:
        session.get(MailboxDomain, "workspace.edu").look_up_at = clock.now() - DAY
    names.silent = {"mute.edu", "workspace.edu"}
    assert look_up_domains(database, names.resolver) == 0
    found = known(database)
    assert found["workspace.edu"].lane == Provider.GMAIL
    assert all(row.look_up_at - clock.now() < 1.1 * DAY for row in found.values())


def test_the_domains_with_the_most_readers_come_first_and_few_readers_are_not_worth_a_question(
    database, names, monkeypatch
):
    monkeypatch.setattr(mailboxes, "AT_ONCE", 1)
    readers(database, "gmail.com", each=5)
    with database.transaction() as session:
        for domain, count in (("own.edu", 3), ("workspace.edu", 4), ("office.edu", 2)):
            for n in range(count):
                subscriber(session, SECRET, f"someone{n}@{domain}", 1)
    asked = []
    for _ in range(3):
        look_up_domains(database, names.resolver)
        asked.append(sorted(names.asked))
    assert asked == [["workspace.edu"], ["own.edu", "workspace.edu"], ["own.edu", "workspace.edu"]]


def test_the_stop_ends_it_between_two_questions(database, names):
    readers(database, "workspace.edu", "office.edu")
    stop = threading.Event()
    stop.set()
    assert look_up_domains(database, names.resolver, stop=stop) == 0
    assert not names.asked


def test_the_freeze_gives_everybody_a_lane(database, settings, names):
    readers(database, "workspace.edu")
    look_up_domains(database, names.resolver)
    addresses = {
        "a@gmail.com": Provider.GMAIL,
        "Ada@GoogleMail.com": Provider.GMAIL,
        "a@workspace.edu": Provider.GMAIL,
        "a@yahoo.co.uk": Provider.YAHOO,
        "a@aol.com": Provider.YAHOO,
        "a@hotmail.fr": Provider.MICROSOFT,
        "a@msn.com": Provider.MICROSOFT,
        "a@icloud.com": Provider.APPLE,
        "a@example.org": Provider.OTHER,
        "a@sub.gmail.com": Provider.OTHER,
        "a@yahoo.evil.org": Provider.OTHER,
    }
    relayed = settings.model_copy(update={"smtp_url": ("smtp://127.0.0.1:1",)})
    send_id = begun(database, relayed, 0, addresses=tuple(addresses))
    found = lanes(database, send_id)
    assert {address.lower(): lane for address, lane in found.items()} == {
        address.lower(): lane for address, lane in addresses.items()
    }
