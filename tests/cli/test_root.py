import subprocess
import sys

import pytest

from newsletter.cli.root import BRANCHES

PUBLICATION = ("publication", "create", "x", "--name", "X", "--from", "x@example.org", "--address", "1 Street")


def test_help_lists_every_command_with_a_sentence(run):
    done = run("--help")
    assert done.code == 0
    for name in BRANCHES:
        line = next(line for line in done.out.splitlines() if f" {name} " in line)
        assert len(line.split()) > 4, f"{name} says nothing about itself"


def test_a_persons_mistake_is_one_line_and_exit_code_1(run):
    done = run(*PUBLICATION, "--timezone", "Mars/Olympus")
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("error: “Mars/Olympus” is no time zone")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("publication", "create"),
        ("issue", "show", "seven"),
        ("issue", "show", "0"),
        ("issue", "list", "--limit", "100000"),
        ("send", "recipients", "1", "--state", "lost"),
        ("staff", "create", "a@example.org", "--role", "king"),
        ("worker", "--concurrency", "0"),
        ("web", "--port", "99999"),
    ],
)
def test_wrong_usage_is_exit_code_2(run, arguments):
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err


def test_a_wrong_setting_is_named(run):
    done = run("publication", "list", log_format="xml")
    assert done.code == 1
    assert "NEWSLETTER_LOG_FORMAT" in done.err
    assert "Traceback" not in done.err


def test_a_database_that_cannot_be_reached_is_one_line(run):
    done = run("publication", "list", database_url="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.code == 1
    assert done.err.startswith("error: the database cannot be used: ")
    assert len(done.err.splitlines()) == 1


def test_a_database_that_is_not_there_is_not_made(run, tmp_path):
    missing = tmp_path / "elsewhere"
    done = run("publication", "list", data_dir=str(missing), database_url="")
    assert done.code == 1
    assert f"There is no database at {missing / 'newsletter.db'}" in done.err
    assert "newsletter migrate" in done.err
    assert not missing.exists()


def test_a_database_without_tables_is_refused_with_what_to_do(run, tmp_path):
    (tmp_path / "empty.db").touch()
    done = run("publication", "list", database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    assert done.code == 1
    assert "run “newsletter migrate”" in done.err


def test_migrate_makes_the_tables_and_a_second_time_nothing(run, tmp_path):
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    assert run("migrate", "--json", database_url=fresh).json["before"] == ""
    again = run("migrate", "--json", database_url=fresh).json
    assert again["before"] == again["now"]
    assert run("publication", "list", database_url=fresh).code == 0


def test_a_reader_that_goes_away_ends_the_command_quietly():
    command = f"{sys.executable} -m newsletter --help | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
