"""Sends for tests, and a relay that records and misbehaves on request."""

from __future__ import annotations

import email
import email.policy
import itertools
import threading
from collections import Counter
from collections.abc import Callable

from factories.audience import many, subscriber
from factories.issues import issue
from factories.publications import publication

from newsletter import delivery
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.kit import smtpd

_slugs = itertools.count(1)


def with_relay(settings: Settings, *servers: smtpd.Server, options: str = "connections=4") -> Settings:
    """The settings with these servers as relays."""
    urls = tuple(f"smtp://127.0.0.1:{server.port}?{options}" for server in servers)
    return settings.model_copy(update={"smtp_url": urls})


def scheduled(
    database: Database, readers: int, *, addresses: tuple[str, ...] = (), prefix: str = "reader", **fields
) -> int:
    """An approved issue of a new publication, due now; returns the send's id."""
    with database.transaction() as session:
        made = publication(session, slug=f"weekly-{next(_slugs)}", **fields)
        approved = issue(session, made, stories=2, approved=True)
    if readers:
        many(database, readers, made.id, prefix=prefix)
    with database.transaction() as session:
        for address in addresses:
            subscriber(session, b"a test key that is long enough to be accepted", address, made.id)
        return delivery.start(session, approved.id, by="editor@example.org").send


def begun(database: Database, settings: Settings, readers: int, **fields) -> int:
    """A send whose audience is frozen and which nobody sends yet; returns its id."""
    send_id = scheduled(database, readers, **fields)
    assert delivery.begin_due(database, settings) == [send_id]
    return send_id


def status(database: Database, send_id: int) -> delivery.SendStatus:
    """How the send stands; the accounting identity is checked on the way."""
    with database.read() as session:
        found = delivery.status(session, send_id)
    states = (getattr(found, str(state)) for state in delivery.DeliveryState)
    assert sum(states) == found.audience
    return found


def rows(database: Database, send_id: int) -> dict[str, delivery.RecipientRow]:
    """Every delivery of a send, by address."""
    found = {}
    after = 0
    with database.read() as session:
        while True:
            page = delivery.recipients(session, send_id, after=after, limit=200)
            found |= {row.address: row for row in page.rows}
            if page.next_after is None:
                return found
            after = page.next_after


class Inbox(smtpd.Handler):
    """A relay that keeps what it accepts. ``at_rcpt`` and ``at_data`` map an address to what it does first.

    A value is a reply or an ``Answer``, or a list of them for one attempt after the
    other (then it accepts). ``received`` counts bodies by address, also of messages
    whose reply was withheld.
    """

    def __init__(self, offers: tuple[str, ...] | None = None):
        self.at_mail: list[smtpd.Reply] = []
        self.at_rcpt: dict[str, smtpd.Reply | list[smtpd.Reply]] = {}
        self.at_data: dict[str, smtpd.Reply | list[smtpd.Reply]] = {}
        self.offers = offers
        self.kept: list[tuple[str, str, bytes]] = []
        self.received: Counter[str] = Counter()
        self.sessions = 0
        self.on_data: Callable[[str], None] = lambda _address: None
        self.changed = threading.Condition()

    def connect(self, session):
        self.sessions = max(self.sessions, session.number)
        return super().connect(session)

    def extensions(self, session):
        return super().extensions(session) if self.offers is None else self.offers

    def mail(self, session, address):
        return self.at_mail.pop(0) if self.at_mail else "250 2.1.0 Ok"

    def rcpt(self, session, address):
        return _next(self.at_rcpt, address) or "250 2.1.5 Ok"

    def data(self, session, envelope, message):
        (address,) = envelope.rcpt_to
        with self.changed:
            self.received[address] += 1
            self.changed.notify_all()
        self.on_data(address)
        reply = _next(self.at_data, address) or "250 2.0.0 Ok: queued as X1"
        if (reply if isinstance(reply, str) else reply.text).startswith("2"):
            self.kept.append((envelope.mail_from, address, message))
        return reply

    @property
    def accepted(self) -> Counter[str]:
        return Counter(address for _, address, _ in self.kept)

    def message_to(self, address: str) -> email.message.EmailMessage:
        (raw,) = (message for _, to, message in self.kept if to == address)
        return email.message_from_bytes(raw, policy=email.policy.default)

    def wait_for(self, count: int) -> None:
        """Until so many bodies have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: sum(self.received.values()) >= count, timeout=30)


def _next(plan, address):
    answer = plan.get(address)
    if isinstance(answer, list):
        return answer.pop(0) if answer else None
    return answer
