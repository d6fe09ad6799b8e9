"""pace: list, set, resume, and what the doctor says of it."""

import pytest

from newsletter import staff
from newsletter.db import Database
from newsletter.delivery.pace import paces

REPLY = "550 5.7.26 This mail has been blocked because the sender is unauthenticated."


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.dispose()


def by_name(done):
    return {line["pace"]: line for line in done.lines}


def test_every_provider_is_listed(run):
    found = by_name(run("pace", "list", "--json"))
    assert list(found) == ["other", "gmail", "yahoo", "microsoft", "apple"]
    assert found["gmail"] == {
        "pace": "gmail",
        "state": "flowing",
        "per_minute": None,
        "slowed_to": None,
        "left_today": None,
        "since": None,
        "probe_at": None,
        "reason": "",
    }
    assert "gmail" in run("pace", "list").out


def test_a_limit_is_set_and_taken_away(run, database):
    assert run("pace", "set", "gmail", "--per-minute", "600", "--json").json["per_minute"] == 600
    assert by_name(run("pace", "list", "--json"))["gmail"]["per_minute"] == 600
    assert run("pace", "set", "gmail", "--per-minute", "none", "--json").json["per_minute"] is None
    with database.read() as session:
        trail = staff.audit_trail(session).rows
    assert [(row.action, row.subject) for row in trail] == [("set the pace", "pace:gmail")] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "hotmail", "--per-minute", "5"), "no mailbox provider “hotmail”"),
        (("set", "gmail", "--per-minute", "fast"), "“fast” is no pace"),
        (("set", "gmail", "--per-minute", "0"), "from 1"),
        (("resume", "relay:mx:25"), "no pace “relay:mx:25”"),
    ],
)
def test_what_cannot_be_is_one_line(run, arguments, words):
    done = run("pace", *arguments)
    assert done.code == 1
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_paused_provider_is_told_by_the_doctor_and_resumed_at_once(run, database):
    paces.pause(database, "gmail", 600.0, REPLY)
    told = by_name(run("pace", "list", "--json"))["gmail"]
    assert (told["state"], told["reason"]) == ("paused", REPLY)
    assert told["probe_at"]
    (check,) = (line for line in run("doctor", "--json").lines if line["name"] == "pace gmail")
    assert check["health"] == "warn"
    assert REPLY in check["found"]
    assert "newsletter pace resume gmail" in check["advice"]
    done = run("pace", "resume", "gmail", "--json")
    assert (done.code, done.json["state"]) == (0, "flowing")
    assert not [line for line in run("doctor", "--json").lines if line["name"] == "pace gmail"]


def test_a_slowed_relay_can_be_resumed_too(run, database):
    paces.slow(database, "relay:mx:25", 600.0, "421 4.3.2 Closing")
    told = by_name(run("pace", "list", "--json"))["relay:mx:25"]
    assert told["state"] == "slowed"
    assert told["slowed_to"] == 300
    assert run("pace", "resume", "relay:mx:25", "--json").json["state"] == "flowing"
