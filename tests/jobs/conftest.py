"""An installation with one due send, and the processes that work on it."""

import subprocess
import sys

import pytest
from factories import cli
from factories.audience import subscriber
from factories.issues import issue
from factories.publications import publication

from newsletter import config, delivery

READER = "ada@readers.example"


@pytest.fixture
def environment(tmp_path, database_url, mailbox):
    cli.stamp(database_url)
    return cli.environment(tmp_path, database_url, SMTP_URL=f"smtp://127.0.0.1:{mailbox.port}")


@pytest.fixture
def settings(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return config.load()


@pytest.fixture
def due_send(database, settings):
    """Makes a send to one reader that is due now; call it for each send that is wanted."""
    made = []

    def make() -> int:
        with database.transaction() as session:
            title = publication(session, slug=f"weekly-{len(made)}")
            subscriber(session, settings.secret, READER, title.id)
            made.append(delivery.start(session, issue(session, title, approved=True).id, by="a test").send)
        return made[-1]

    return make


@pytest.fixture
def broker(tmp_path):
    with cli.broker(tmp_path) as process:
        yield process


@pytest.fixture
def start(settings, tmp_path):
    """Starts a program with the installation's environment; its output is in ``process.log``."""
    started = []

    def start(*arguments):
        log = tmp_path / f"process-{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=subprocess.STDOUT)
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
