"""`newsletter run` as one installs it: real processes, an empty database, the embedded broker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from factories.cli import environment, eventually

from newsletter.cli.leftovers import PidFiles, started_at

PROGRAMS = {"broker", "worker", "beat", "web"}


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class House:
    """One installation: starts `newsletter run` in it, as often as wanted."""

    def __init__(self, folder, database_url, port):
        self.folder, self.port = folder, port
        self.environment = {**os.environ, **environment(folder, database_url)}
        del self.environment["NEWSLETTER_BASE_URL"]
        self.started = []

    def start(self, *options):
        said = self.folder / f"run-{len(self.started)}.err"
        command = [sys.executable, "-m", "newsletter", "run", "--port", str(self.port), *options]
        with said.open("wb") as out:
            process = subprocess.Popen(command, env=self.environment, stderr=out)
        process.said = said.read_text
        self.started.append(process)
        return process

    def command(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "newsletter", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status
        except urllib.error.URLError:
            return 0

    def pids(self):
        return {path.stem: int(path.read_text().split()[0]) for path in (self.folder / "run").glob("*.pid")}


@pytest.fixture
def house(tmp_path, databases, port):
    url = databases.empty_url()
    home = House(tmp_path, url, port)
    yield home
    for process in home.started:
        process.kill()
        process.wait()
    PidFiles(tmp_path / "run").stop_all(10)
    databases.drop(url)


def _runs(process, seconds=40):
    eventually(lambda: "newsletter runs at" in process.said(), seconds)


def test_one_command_runs_everything_and_one_signal_stops_it(house):
    process = house.start("--admin", "you@example.org")
    _runs(process)
    said = process.said()
    assert f"newsletter runs at http://127.0.0.1:{house.port}" in said
    assert house.get("/readyz") == 200
    link = re.search(r"administrator within 24 hours: http://127\.0\.0\.1:\d+(/sign-in/link/\S+)", said)
    assert house.get(link[1]) == 200

    pids = house.pids()
    assert set(pids) == PROGRAMS

    second = house.command("run", "--port", str(house.port))
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("error: Newsletter already runs in")
    assert f"(process {process.pid})" in second.stderr

    def all_are_seen():
        found = [json.loads(line) for line in house.command("doctor", "--json").stdout.splitlines()]
        well = {line["name"] for line in found if line["health"] == "ok"}
        return {"database", "migrations", "broker", "workers", "beat"} <= well

    eventually(all_are_seen, seconds=30)

    os.kill(pids["broker"], signal.SIGKILL)
    eventually(lambda: house.pids()["broker"] != pids["broker"])
    assert house.pids()["web"] == pids["web"], "the others go on"

    process.send_signal(signal.SIGTERM)
    assert process.wait(35) == 0
    assert not any(started_at(pid) for pid in pids.values())
    assert house.pids() == {}


def test_after_kill_9_the_next_start_replaces_what_was_left(house):
    first = house.start()
    _runs(first)
    left = house.pids()
    first.kill()
    first.wait()
    second = house.start()
    _runs(second, seconds=60)
    assert "administrator" not in second.said(), "there is one already"
    assert not any(started_at(pid) for pid in left.values())
    assert set(house.pids()) == PROGRAMS
    assert house.get("/readyz") == 200


def test_a_taken_port_is_told_before_anything_starts(house):
    with socket.create_server(("127.0.0.1", house.port)):
        done = house.command("run", "--port", str(house.port))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {house.port}" in done.stderr
    assert not list((house.folder / "run").glob("*.pid"))


def test_a_folder_with_too_long_a_path_is_told_with_what_to_do(house):
    house.environment["NEWSLETTER_DATA_DIR"] = str(house.folder / ("long-" * 20))
    done = house.command("run", "--port", str(house.port))
    assert done.returncode == 1
    assert "choose a shorter folder or name a Redis with NEWSLETTER_BROKER_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_broker_can_be_read_by_nobody_else(tmp_path):
    from factories.cli import broker

    with broker(tmp_path):
        folder = tmp_path / "valkey"
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "valkey.sock").stat().st_mode & 0o077 == 0
