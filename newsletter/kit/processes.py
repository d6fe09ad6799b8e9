"""Who a process is, so that another one on the same machine can tell when it is gone.

Promise: ``is_gone`` says yes only for a process that certainly ended. A recycled
number, another container, another machine or a name it cannot read are never
taken for the one that was meant; where the system does not tell (no /proc),
nobody is ever said to be gone. It sends no signal.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# The numbers of processes count within the first, their start times within the second.
_SPACES: Final = (Path("/proc/self/ns/pid"), Path("/proc/self/ns/time"))


def identity(pid: int | None = None) -> str:
    """Return the name of a process, this one by default, that no other ever has; empty where there is none."""
    number = os.getpid() if pid is None else pid
    place, started = _place(), started_at(number)
    return f"{place} {number} {started}" if place and started else ""


def is_gone(name: str) -> bool:
    """Whether the process that has this ``identity`` ran here and runs no more."""
    place, _, process = name.partition(" ")
    if not place or place != _place():
        return False
    number, started = process.split(" ")
    return not _exists(int(number)) or _stat(int(number))[:1] == ["Z"] or started_at(int(number)) not in ("", started)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def started_at(pid: int) -> str:
    """Return when the process started, as text to compare; empty when there is none (or a zombie)."""
    if Path("/proc/self/stat").exists():
        fields = _stat(pid)
        return "" if not fields or fields[0] == "Z" else fields[19]  # field 22 of proc(5), in clock ticks
    shown = subprocess.run(  # noqa: S603 - fixed argv, an integer
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip().replace(" ", "_")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third on (the state); none if it cannot be read."""
    try:
        # The second field is the name in parentheses and may hold anything, so count from its end.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@cache
def _place() -> str:
    """Return this boot of this machine and the container in it; empty where the system does not tell."""
    try:
        return "/".join((_BOOT.read_text().strip(), *(space.readlink().name for space in _SPACES)))
    except OSError:
        return ""
