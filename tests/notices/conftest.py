"""A publication, links, and a relay that every test of this room starts from."""

from __future__ import annotations

import pytest
from factories.audience import SECRET
from factories.delivery import Inbox, with_relay
from factories.publications import publication

from newsletter.audience import Links
from newsletter.kit import smtpd


@pytest.fixture
def weekly(database) -> int:
    with database.transaction() as session:
        made = publication(
            session, name="Foreign Brief", sender="Foreign Brief <desk@brief.example>", tagline="The week."
        )
        return made.id


@pytest.fixture
def session(weekly, database):
    """As everywhere, one transaction; the publication is committed before it begins."""
    with database.transaction() as opened:
        yield opened


@pytest.fixture
def links() -> Links:
    return Links("http://news.example.test", SECRET)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def relay(inbox):
    with smtpd.Server(inbox) as server:
        yield server


@pytest.fixture
def relayed(settings, relay):
    """The settings with the relay of this test."""
    return with_relay(settings, relay)
