"""Who runs in a data directory: the lock of the living, the pid files of the dead.

Promise: at most one holder of ``Lock`` per file, released by the kernel however
the holder dies; ``PidFiles.stop_all`` stops exactly the processes that were
recorded, never a stranger that was given the same number since (a process's
start time is part of its identity).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from newsletter.errors import Conflict
from newsletter.kit.processes import started_at


class Lock:
    """An exclusive lock on a file that names its holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise ``Conflict`` with the holder's pid."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise Conflict(
                f"Newsletter already runs in {self.path.parent.parent} (process {holder}); "
                "stop it first, or choose another NEWSLETTER_DATA_DIR."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class PidFiles:
    """One file per started program: its pid and start time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, pid: int) -> None:
        """Record a program that was just started as the leader of a process group."""
        (self.folder / f"{name}.pid").write_text(f"{pid} {started_at(pid)}\n")

    def remove(self, name: str) -> None:
        """Forget a program that has stopped."""
        (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def stop_all(self, seconds: float) -> list[str]:
        """Stop every recorded process that still runs: SIGTERM, ``seconds``, SIGKILL. Return their names."""
        recorded = {path.stem: _read(path) for path in sorted(self.folder.glob("*.pid"))}
        living = {name: pid for name, (pid, started) in recorded.items() if started and started_at(pid) == started}
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + seconds
            waiting = {name for name, pid in living.items() if started_at(pid) == recorded[name][1]}
            for name in waiting:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(living[name], number)
            while waiting and time.monotonic() < deadline:
                time.sleep(0.05)
                waiting = {name for name in waiting if started_at(living[name]) == recorded[name][1]}
        for name in recorded:
            self.remove(name)
        return list(living)


def _read(path: Path) -> tuple[int, str]:
    pid, _, started = path.read_text().strip().partition(" ")
    return (int(pid), started) if pid.isdigit() and int(pid) > 1 else (0, "")
