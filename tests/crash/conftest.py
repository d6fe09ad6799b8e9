"""A send that has begun, its recording relay, and the processes that a test starts."""

import logging

import pytest
from crash.relay import Relay
from crash.trial import CONNECTIONS, Trial, through
from factories import cli
from factories.delivery import begun, scheduled

from newsletter.kit import smtpd


@pytest.fixture(autouse=True)
def _logging_as_before():
    """A command that runs in this process sets up the logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def relay(tmp_path):
    return Relay(file=tmp_path / "bodies.log")


@pytest.fixture
def server(relay):
    with smtpd.Server(relay) as running:
        yield running


@pytest.fixture
def trial(database, settings, relay, server):
    """Makes a trial: a send to so many readers that has begun, or, with ``frozen=False``, is due."""
    made = []

    def make(readers=0, *, frozen=True, connections=CONNECTIONS, **fields):
        relayed = through(settings, server.port, connections=connections)
        send_id = 0  # without readers the test makes the send itself, later
        if readers:
            send_id = begun(database, relayed, readers, **fields) if frozen else scheduled(database, readers, **fields)
        made.append(Trial(database, relayed, relay, send_id, connections))
        return made[-1]

    cli.stamp(settings.database_url)
    yield make
    for one in made:
        for process in one.processes:
            process.kill()
            process.wait()
