"""The supervisor with real processes: every test starts a supervisor as its own process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from factories.cli import eventually

from newsletter.cli.leftovers import PidFiles, started_at

SUPERVISOR = """
import sys
from pathlib import Path
from newsletter.cli.supervise import Program, StartError, Supervisor
from newsletter.errors import NewsletterError

folder = Path(sys.argv[1])
programs = [
    Program(name, [sys.executable, "-c", code], ready=eval(ready) if ready else None, foundation=name == "base",
            start_seconds=5)
    for name, ready, code in zip(sys.argv[2::3], sys.argv[3::3], sys.argv[4::3])
]
try:
    with Supervisor(folder) as supervisor:
        sys.exit(supervisor.run(programs, on_ready=lambda: print("READY", flush=True)))
except NewsletterError as error:
    print("error:", error.message, file=sys.stderr)
    sys.exit(1)
"""

SLEEPER = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
SECOND_TIME = (
    "import signal, time\n"
    "def handle(*_): signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
    "signal.signal(signal.SIGTERM, handle); print('deaf', flush=True)\n"
    "while True: time.sleep(600)"
)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


@pytest.fixture
def supervise(tmp_path):
    started = []

    def start(*programs, folder=tmp_path):
        arguments = [part for program in programs for part in program]
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    PidFiles(tmp_path / "run").stop_all(0.1)


def _pid(folder, name) -> int:
    def read():
        path = folder / "run" / f"{name}.pid"
        return int(path.read_text().split()[0]) if path.exists() and path.read_text() else 0

    return eventually(read)


def test_all_programs_start_and_sigterm_stops_them_cleanly(supervise, tmp_path):
    process = supervise(("one", "", SLEEPER), ("two", "", SLEEPER))
    assert process.stdout.readline() == "READY\n"
    pids = [_pid(tmp_path, "one"), _pid(tmp_path, "two")]
    assert all(started_at(pid) for pid in pids)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not any(started_at(pid) for pid in pids)
    assert list((tmp_path / "run").glob("*.pid")) == []


def test_what_programs_print_reaches_the_log_and_standard_error(supervise, tmp_path):
    process = supervise(("one", "", SLEEPER))
    process.stdout.readline()
    line = process.stderr.readline()
    assert line.startswith("     one | pid ")
    assert (tmp_path / "logs" / "one.log").read_text() == line.partition("| ")[2]


def test_a_terminal_that_went_away_stops_nothing(supervise, tmp_path):
    chatty = "import time\nwhile True: print('line', flush=True); time.sleep(0.02)"
    process = supervise(("one", "", chatty))
    assert process.stdout.readline() == "READY\n"
    pid = _pid(tmp_path, "one")
    process.stderr.close()
    size = (tmp_path / "logs" / "one.log").stat().st_size
    eventually(lambda: (tmp_path / "logs" / "one.log").stat().st_size > size + 100)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not started_at(pid)


def test_a_second_start_is_refused_and_names_the_first(supervise):
    first = supervise(("one", "", SLEEPER))
    assert first.stdout.readline() == "READY\n"
    second = supervise(("one", "", SLEEPER))
    _out, err = second.communicate(timeout=10)
    assert second.returncode == 1
    assert "already runs in" in err
    assert f"(process {first.pid})" in err
    assert first.poll() is None


def test_what_a_killed_supervisor_left_is_stopped_before_the_next_start(supervise, tmp_path):
    first = supervise(("one", "", SECOND_TIME))
    assert first.stdout.readline() == "READY\n"
    orphan = _pid(tmp_path, "one")
    eventually(lambda: "deaf" in (tmp_path / "logs" / "one.log").read_text())
    first.kill()
    first.wait()
    assert started_at(orphan), "it did not obey when its supervisor died"
    second = supervise(("one", "", SLEEPER))
    assert second.stdout.readline() == "READY\n"
    assert not started_at(orphan)
    assert _pid(tmp_path, "one") != orphan
    second.send_signal(signal.SIGTERM)
    assert "stopped a one that an earlier run had left behind" in second.communicate(timeout=10)[1]


if sys.platform == "linux":  # elsewhere a child is not told that its parent has died; the next start finds it

    def test_programs_end_with_a_killed_supervisor(supervise, tmp_path):
        process = supervise(("one", "", SLEEPER))
        assert process.stdout.readline() == "READY\n"
        pid = _pid(tmp_path, "one")
        process.kill()
        eventually(lambda: not started_at(pid))


def test_leftovers_are_stopped_but_not_a_stranger_with_the_same_number(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True, stdout=subprocess.DEVNULL)
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True, stdout=subprocess.DEVNULL)
    pids = PidFiles(tmp_path)
    pids.write("left", left.pid)
    (tmp_path / "stranger.pid").write_text(f"{stranger.pid} 12345\n")
    try:
        assert pids.stop_all(5) == ["left"]
        assert left.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
        assert list(tmp_path.glob("*.pid")) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_that_dies_is_started_again(supervise, tmp_path):
    process = supervise(("one", "", SLEEPER))
    assert process.stdout.readline() == "READY\n"
    first = _pid(tmp_path, "one")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: _pid(tmp_path, "one") != first)
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=10)
    assert "one ended with signal SIGKILL; starts again in 1 s" in err


def test_a_program_that_dies_while_starting_stops_the_start_and_shows_its_last_words(supervise, tmp_path):
    dying = "import sys; print('no such table', flush=True); sys.exit(3)"
    process = supervise(("good", "", SLEEPER), ("bad", "lambda: False", dying))
    _out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "error: bad ended with exit code 3 while starting.\n  no such table" in err
    assert list((tmp_path / "run").glob("*.pid")) == []


def test_a_program_that_is_not_there_is_named(tmp_path):
    code = (
        "import sys; from pathlib import Path; from newsletter.cli.supervise import Program, Supervisor\n"
        "with Supervisor(Path(sys.argv[1])) as s: s.run([Program('x', ['/no/such/thing'], ready=lambda: False)])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "/no/such/thing: No such file or directory" in done.stderr


def test_the_foundation_is_ready_before_the_others_start(supervise, tmp_path):
    marker = tmp_path / "marker"
    slow = f"import time; time.sleep(0.5); open({str(marker)!r}, 'w').close(); time.sleep(600)"
    needs = f"import os; print('found' if os.path.exists({str(marker)!r}) else 'missing', flush=True); {SLEEPER}"
    process = supervise(("base", f"lambda: Path({str(marker)!r}).exists()", slow), ("user", "", needs))
    assert process.stdout.readline() == "READY\n"
    log = tmp_path / "logs" / "user.log"
    eventually(log.read_text)
    assert log.read_text().startswith("found\n")


def test_a_second_signal_does_not_wait_for_a_deaf_program(supervise, tmp_path):
    process = supervise(("deaf", "", STUBBORN))
    assert process.stdout.readline() == "READY\n"
    eventually(lambda: "deaf" in (tmp_path / "logs" / "deaf.log").read_text())
    pid = _pid(tmp_path, "deaf")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0
    assert not started_at(pid)


def test_a_log_is_rotated_before_it_fills_the_disk(tmp_path, monkeypatch):
    from newsletter.cli import tail as tailing

    monkeypatch.setattr(tailing, "LIMIT", 100)
    tail = tailing.Tail(tmp_path / "x.log")
    with tail.writer() as log:
        log.write(b"a" * 99 + b"\nsecond\nunfinished")
        log.flush()
        assert tail.new_lines() == ["a" * 99, "second"]
        log.write(b"third\n")
        log.flush()
        assert tail.new_lines() == ["third"]
    assert Path(tmp_path / "x.log.1").stat().st_size > 100
