"""A relay that takes everything, and the settings that name it."""

import pytest
from factories.delivery import Inbox, with_relay

from newsletter.kit import smtpd


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def server(inbox):
    with smtpd.Server(inbox) as running:
        yield running


@pytest.fixture
def relayed(settings, server):
    return with_relay(settings, server)
