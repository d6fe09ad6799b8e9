"""Runs several programs as one: starts, watches, restarts and stops them together.

Promise: one supervisor per data directory (a second is refused with the pid of
the first); whatever a supervisor that was killed left behind is stopped before
anything starts; a program that dies is started again after a growing pause;
SIGTERM or SIGINT stops everything, foundations last, within 30 seconds (a second
signal at once). What the programs print goes to DATA_DIR/logs/<name>.log and, a
line at a time, to standard error. It knows nothing of what the programs do.

    with Supervisor(settings.data_dir) as supervisor:   # takes the lock
        exit_code = supervisor.run(programs, on_ready=lambda: print(url))
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from newsletter.cli.leftovers import Lock, PidFiles
from newsletter.cli.tail import Tail
from newsletter.errors import NewsletterError

POLL: Final = 0.1
STOP_SECONDS: Final = 30.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
SETTLED_SECONDS: Final = 60.0
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TETHER: Final = str(Path(__file__).with_name("tether.py"))


class StartError(NewsletterError):
    """A program died or did not become ready; the message ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program: what to execute, and how to see that it is ready.

    ``env`` is added to our own environment. ``ready`` is polled; ``None`` means
    ready once started. ``foundation``: ready before the others start, stopped
    after they have stopped. ``quiet``: what it prints goes to its log file only.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    foundation: bool = False
    quiet: bool = False
    start_seconds: float = 30.0


class _Running:
    """One program's present process, its log and its restarts."""

    def __init__(self, program: Program, folder: Path, pids: PidFiles) -> None:
        self.program = program
        self.tail = Tail(folder / f"{program.name}.log")
        self.pids = pids
        self.process: subprocess.Popen[bytes] | None = None
        self.pause = FIRST_PAUSE
        self.started = 0.0
        self.start_again_at: float | None = None

    def start(self) -> None:
        """Start the program in a session of its own, tied to our life."""
        self.start_again_at = None
        with self.tail.writer() as log:
            self.process = subprocess.Popen(  # noqa: S603 - the argv is ours
                [sys.executable, "-IS", TETHER, str(os.getpid()), *self.program.argv],
                env={**os.environ, **self.program.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.monotonic()
        self.pids.write(self.program.name, self.process.pid)

    def exit_code(self) -> int | None:
        """Return how the process ended, ``None`` while it runs."""
        return None if self.process is None else self.process.poll()

    def mind(self) -> str:
        """Start a program that died again when its pause is over; return what to tell about it."""
        now = time.monotonic()
        if self.start_again_at is not None:
            if now >= self.start_again_at:
                self.start()
            return ""
        code = self.exit_code()
        if code is None:
            return ""
        if now - self.started > SETTLED_SECONDS:
            self.pause = FIRST_PAUSE
        self.start_again_at = now + self.pause
        told = f"ended with {_ending(code)}; starts again in {self.pause:g} s"
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        return told

    def signal(self, number: signal.Signals) -> None:
        """Signal the program and whatever it started."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def gone(self) -> bool:
        """Whether no process of the program is left."""
        return self.process is None or self.process.poll() is not None


class Supervisor:
    """The one supervisor of a data directory; a context manager that holds its lock."""

    def __init__(self, data_dir: Path, *, echo: bool = True) -> None:
        self.data_dir = data_dir
        self.echo = echo
        self._lock = Lock(data_dir / "run" / "lock")
        self._pids = PidFiles(data_dir / "run")
        self._running: list[_Running] = []
        self._stop = threading.Event()
        self._hurry = threading.Event()

    def __enter__(self) -> Self:
        """Take the lock, or raise ``Conflict`` naming the holder; stop what was left."""
        self._lock.acquire()
        for name in self._pids.stop_all(STOP_SECONDS):
            self._say(f"stopped a {name} that an earlier run had left behind")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        self._lock.release()

    def run(self, programs: Sequence[Program], on_ready: Callable[[], None] | None = None) -> int:
        """Run ``programs`` until a signal asks to stop; return the exit code, 0.

        Calls ``on_ready`` once when all are ready. Raises ``StartError`` when one
        dies or is not ready in time, after stopping the others.
        """
        logs = self.data_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._running = [_Running(program, logs, self._pids) for program in programs]
        with self._signals():
            try:
                self._start(one for one in self._running if one.program.foundation)
                self._start(one for one in self._running if not one.program.foundation)
                if on_ready is not None and not self._stop.is_set():
                    on_ready()
                while not self._stop.wait(POLL):
                    self._watch()
            finally:
                self._stop_all()
        return 0

    def stop(self) -> None:
        """Ask ``run`` to stop everything and return; asked twice, it does not wait."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def handle(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, group: Iterator[_Running]) -> None:
        started = list(group)
        for one in started:
            if not self._stop.is_set():
                one.start()
        for one in started:
            self._await_ready(one)

    def _await_ready(self, one: _Running) -> None:
        program = one.program
        while program.ready is not None and not self._stop.is_set() and not program.ready():
            self._forward()
            code = one.exit_code()
            if code is not None:
                raise StartError(f"{program.name} ended with {_ending(code)} while starting.\n{one.tail.last_lines()}")
            if time.monotonic() - one.started > program.start_seconds:
                raise StartError(
                    f"{program.name} was not ready after {program.start_seconds:g} s.\n{one.tail.last_lines()}"
                )
            self._stop.wait(POLL)

    def _watch(self) -> None:
        self._forward()
        for one in self._running:
            told = one.mind()
            if told:
                self._say(f"{one.program.name} {told}")

    def _stop_all(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        self._stop_group([one for one in self._running if not one.program.foundation], deadline)
        self._stop_group([one for one in self._running if one.program.foundation], deadline + 5)
        self._forward()

    def _stop_group(self, group: Sequence[_Running], deadline: float) -> None:
        for one in group:
            one.start_again_at = None
            one.signal(signal.SIGTERM)
        while not all(one.gone() for one in group) and time.monotonic() < deadline and not self._hurry.is_set():
            self._forward()
            time.sleep(POLL / 2)
        for one in group:
            one.signal(signal.SIGKILL)
            if one.process is not None:
                one.process.wait()
            self._pids.remove(one.program.name)

    def _forward(self) -> None:
        for one in self._running:
            for line in one.tail.new_lines():
                if self.echo and not one.program.quiet:
                    self._say(f"{one.program.name:>8} | {line}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more; the programs must be minded all the same
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is the door


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
