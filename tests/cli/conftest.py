"""Runs commands in this process, against the suite's database."""

import json
import logging
from dataclasses import dataclass

import pytest
from factories import cli
from typer.testing import CliRunner

from newsletter.cli import app


@dataclass
class Done:
    """What a command did: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self):
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)  # a thread may log after a command's standard error closed
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def environment(tmp_path, database_url):
    cli.stamp(database_url)
    return {**cli.environment(tmp_path, database_url), "COLUMNS": "200"}


@pytest.fixture
def run(environment):
    def run(*arguments, given=None, **settings):
        extra = {f"NEWSLETTER_{name.upper()}": value for name, value in settings.items()}
        result = CliRunner().invoke(
            app, [str(part) for part in arguments], input=given, env={**environment, **extra}, catch_exceptions=False
        )
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def publication(run):
    """A publication made by the command, its slug."""
    done = run(
        *("publication", "create", "weekly-brief", "--name", "Weekly Brief", "--from", "Desk <desk@example.org>"),
        *("--address", "1 Example Street, Exampletown", "--timezone", "Europe/London"),
    )
    assert done.code == 0, done.err
    return "weekly-brief"
