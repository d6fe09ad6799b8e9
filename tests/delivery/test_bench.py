import json

import pytest
from factories.delivery import Inbox
from typer.testing import CliRunner

from newsletter.cli import bench
from newsletter.kit import smtpd

KEYS = ["recipients", "seconds", "rate", "cpu_seconds", "rate_per_cpu_second", "limit_rate", "share_of_limit"]
KEYS += ["peak_memory_mb", "workers", "database", "freeze_seconds"]


@pytest.fixture
def server_url(databases):
    return databases.server_url


def test_the_figures_come_as_one_json_object(server_url):
    options = [
        "--recipients",
        "60",
        "--workers",
        "2",
        "--reply-delay",
        "1",
        *(["--database", server_url] if server_url else []),
    ]
    result = CliRunner().invoke(bench.app, ["send", *options])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == KEYS
    assert (found["recipients"], found["workers"]) == (60, 2)
    assert found["database"] == ("postgresql" if server_url else "sqlite")
    assert found["rate"] == pytest.approx(60 / found["seconds"], rel=0.05)
    assert found["share_of_limit"] == pytest.approx(found["rate"] / found["limit_rate"], abs=0.01)


def test_it_sends_a_usual_round_up_to_the_relay_that_is_named():
    inbox = Inbox()
    with smtpd.Server(inbox) as server:
        bench.measure(bench.Plan(10, f"smtp://127.0.0.1:{server.port}", connections=2, dkim=True))
    assert len(inbox.accepted) == 10
    assert set(inbox.accepted.values()) == {2}  # once by the sender, once for the limit
    message = inbox.kept[0][2].replace(b"=\r\n", b"")
    assert message.count(b"https://news.example.org/c/") == 25
    assert inbox.kept[0][2].startswith(b"DKIM-Signature: ")
    assert 19_000 < len(inbox.kept[0][2]) < 21_500
