"""Which provider holds the mailboxes of a domain: known by its name, or looked up by its mail exchangers.

Promise: ``lane_of`` tells the lane of a whole audience within the freeze, from what is
known then; ``look_up_domains`` asks the DNS in the background, outside of any
transaction, a bounded number of questions with a bounded time each, for the domains
with the most readers first, and serves the next freeze. A failure is remembered
for a day and changes nothing that was known.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.resolver
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.audience import Subscriber
from newsletter.db import Database, later, now
from newsletter.delivery.models import MailboxDomain
from newsletter.delivery.pace.providers import CONSUMER, Provider, of_host, worth_asking

log = logging.getLogger(__name__)

AT_ONCE: Final = 50  # questions in one call
SECONDS: Final = 3.0  # for each
FEWEST: Final = 3  # readers, from whom on a domain is worth a question
KNOWN_SECONDS: Final = 30 * 86_400
FAILED_SECONDS: Final = 86_400
NOWHERE: Final = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)  # an answer too: it is nobody's we know


def domain_of(address: ColumnElement[str], dialect: str) -> ColumnElement[str]:
    """Return the domain of an address in lower case, as SQL; a quoted @ before the real one makes it unknown."""
    at = func.instr(address, "@") if dialect == "sqlite" else func.strpos(address, "@")
    return func.lower(func.substr(address, at + 1))


def lane_of(domain: ColumnElement[str]) -> ColumnElement[int]:
    """Return the lane of a domain as SQL, for a statement that joins ``MailboxDomain`` from outside."""
    known = [(domain.in_(domains), int(provider)) for provider, domains in CONSUMER.items()]
    return case(*known, else_=func.coalesce(MailboxDomain.lane, int(Provider.OTHER)))


def look_up_domains(
    database: Database, resolver: dns.resolver.Resolver | None = None, *, stop: threading.Event | None = None
) -> int:
    """Ask the DNS about the audience's domains that are not known or not lately; return how many were answered.

    Opens its own short transactions and waits for the network between them.
    """
    with database.read() as session:
        domains = _worth_asking(session, database.dialect)
    if not domains:
        return 0
    try:
        resolver = resolver or dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration as error:
        log.warning("mailbox providers cannot be looked up: %s", error)
        return 0
    answered = 0
    for domain in domains:
        if stop is not None and stop.is_set():
            break
        provider = _ask(resolver, domain)
        answered += provider is not None
        _remember(database, domain, provider)
    return answered


def _worth_asking(session: Session, dialect: str) -> Sequence[str]:
    domain = domain_of(Subscriber.address.expression, dialect).label("domain")
    readers = select(domain, func.count().label("readers")).group_by(domain).having(func.count() >= FEWEST).subquery()
    fresh = select(MailboxDomain.domain).where(MailboxDomain.look_up_at > now())
    statement = select(readers.c.domain).where(readers.c.domain.not_in(fresh)).order_by(readers.c.readers.desc())
    found = session.scalars(statement.limit(AT_ONCE + sum(map(len, CONSUMER.values()))))
    return [one for one in found if worth_asking(one)][:AT_ONCE]


def _ask(resolver: dns.resolver.Resolver, domain: str) -> Provider | None:
    """Return whose a domain is by its most preferred mail exchanger (RFC 5321 5.1), or None if nobody says."""
    try:
        answer = resolver.resolve(domain, "MX", lifetime=SECONDS)
    except NOWHERE:
        return Provider.OTHER
    except (dns.exception.DNSException, ValueError) as error:  # the latter: no name that the DNS could hold
        log.info("the mail exchangers of %s are not told: %s", domain, error)
        return None
    best = min(answer, key=lambda record: record.preference)
    return of_host(best.exchange.to_text())


def _remember(database: Database, domain: str, provider: Provider | None) -> None:
    dialect = sqlite if database.dialect == "sqlite" else postgresql
    due = later(FAILED_SECONDS if provider is None else KNOWN_SECONDS)
    known = {} if provider is None else {"lane": int(provider)}
    values = {"domain": domain, "lane": int(Provider.OTHER), **known, "look_up_at": due}
    with database.transaction() as session:
        session.execute(
            dialect.insert(MailboxDomain)
            .values(values)
            .on_conflict_do_update(index_elements=["domain"], set_={**known, "look_up_at": due})
        )
