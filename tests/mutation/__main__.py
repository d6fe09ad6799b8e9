"""``python -m mutation``: does any test notice when a line of the ledger is wrong?

Every mutant is tried in a fork of this process, in which everything but the room
is loaded already: the room and its tests are imported anew with the mutant in
its module's place, and the first test that fails kills it. Prints killed,
survived and timed out for each module, and the survivors; those in
``equivalent.txt`` cannot be noticed, for the reasons given there, and are counted
apart. With ``--postgresql`` what survives on SQLite is tried again there: half of
the statements are only for one of the two. Exits 1 below the score that is promised.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mutation.operators import Mutant, mutants

TESTS = Path(__file__).parents[1]
ROOM = TESTS.parent / "newsletter" / "delivery"
PROMISED = 0.90
PATIENCE = 4  # times what the tests take as they are: a mutant that takes longer hangs
LEAST_SECONDS = 15
MOST_SECONDS = 300
SLOW = 1.0  # seconds: a test that takes longer is not asked
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
MODULES = {  # with the tests that know them
    "changes": ("changes",),
    "states": ("states",),
    "recover": ("recover",),
    "control": ("control", "recover"),
    "plan": ("plan",),
    "queries": ("queries",),
    "frames": ("frames",),
    "claim": ("claim",),
    "statements": ("statements",),
    "ledger": ("ledger",),
    "supply": ("supply", "run", "control"),
    "send": ("send", "run", "control"),
}
LOADED = (
    "sqlalchemy.orm",
    "psycopg",
    "uvloop",
    "pytest",
    "hypothesis",
    "aiosmtpd.controller",
    "premailer",
    "pydantic_settings",
)
ROOMS_BELOW = ("config", "db", "publications", "articles", "issues", "audience", "editions", "kit.smtpd")


class Replaced(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Imports one module of the room from a source of its own."""

    def __init__(self, module: str, source: str) -> None:
        self._name, self._source = f"newsletter.delivery.{module}", source

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        file = str(ROOM / f"{name.rpartition('.')[2]}.py")
        return importlib.machinery.ModuleSpec(name, self, origin=file)

    def exec_module(self, module) -> None:
        exec(compile(self._source, module.__spec__.origin, "exec"), module.__dict__)


class QuickFirst:
    """A pytest plugin: notes how long each test takes, or runs the quick ones first and the slow ones not at all."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "seconds.json"
        self._seconds: dict[str, float] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._measures = not self._seconds

    def pytest_collection_modifyitems(self, items) -> None:
        if not self._measures:
            quick = [item for item in items if self._seconds.get(item.nodeid, SLOW) < SLOW]
            items[:] = sorted(quick, key=lambda item: self._seconds[item.nodeid])

    def pytest_runtest_logreport(self, report) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        if self._measures:
            self._file.write_text(json.dumps(self._seconds))


@dataclass(frozen=True)
class Bench:
    """Where mutants of a module are tried: a database, and what is known of the tests there."""

    known: Path  # a folder
    database: str = "sqlite"

    @property
    def seconds(self) -> float:
        """For one mutant; for the first run, which measures, as long as a suite may take."""
        file = self.known / "seconds.json"
        if not file.exists():
            return MOST_SECONDS
        return max(LEAST_SECONDS, PATIENCE * sum(one for one in json.loads(file.read_text()).values() if one < SLOW))


def attempt(mutant: Mutant, source: str, bench: Bench) -> None:
    """In a child: run the tests against a mutant; the exit code is pytest's."""
    import pytest

    os.setsid()
    os.environ["NEWSLETTER_TEST_DATABASE"] = bench.database
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    sys.meta_path.insert(0, Replaced(mutant.module, source))
    files = [str(TESTS / "delivery" / f"test_{name}.py") for name in MODULES[mutant.module]]
    with tempfile.TemporaryDirectory() as folder:
        ignored = "ignore::pytest.PytestAssertRewriteWarning"  # what is loaded already is not rewritten
        options = [
            "-x",
            "-W",
            ignored,
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--basetemp",
            f"{folder}/t",
            "--hypothesis-seed=1",
        ]
        code = pytest.main(
            [*options, *(file for file in files if Path(file).exists())], plugins=[QuickFirst(bench.known)]
        )
    os._exit(int(code))


def tried(todo: list[tuple[Mutant, str]], at_once: int, bench: Bench) -> Iterator[tuple[Mutant, str]]:
    """Try mutants, a few at once; yields each with its verdict."""
    seconds = bench.seconds
    running: dict[int, tuple[Mutant, float]] = {}
    waiting = list(reversed(todo))
    while waiting or running:
        while waiting and len(running) < at_once:
            mutant, source = waiting.pop()
            if not (pid := os.fork()):
                try:
                    attempt(mutant, source, bench)
                finally:
                    os._exit(99)
            running[pid] = mutant, time.monotonic()
        for pid, (mutant, since) in list(running.items()):
            done, code = os.waitpid(pid, os.WNOHANG)
            if done:
                yield mutant, "survived" if os.waitstatus_to_exitcode(code) == 0 else "killed"
            elif time.monotonic() - since > seconds:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                yield mutant, "timed out"
            else:
                continue
            del running[pid]
        time.sleep(0.02)


def measured(module: str, bench: Bench) -> Bench:
    """Run a module's tests without any mutant: they must pass, and how long each takes is kept."""
    bench.known.mkdir()
    whole = Mutant(module, 0, 0, "", "")
    ((_, verdict),) = tried([(whole, (ROOM / f"{module}.py").read_text())], 1, bench)
    if verdict != "survived":
        sys.exit(f"The tests of {module} do not pass as it is ({verdict}); look at that first.")
    return bench


def postgresql(folder: Path) -> str:
    """Start a server for all children; return its address."""
    from fixtures import databases

    databases.CHOICE = "postgresql"
    url = databases._server_url(folder)
    del sys.modules["fixtures.databases"]  # the children import it anew and are told the address
    return url


def equivalents() -> set[str]:
    """The mutants that nobody could notice: lines of ``module: before -> after``, each after its reason."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def report(verdicts: dict[str, Counter[str]]) -> float:
    """Print a line for each module; return the score."""
    total: Counter[str] = Counter()
    print(f"{'module':<12} {'killed':>7} {'timed out':>10} {'survived':>9} {'equivalent':>11} {'score':>7}")
    for module, found in (*verdicts.items(), ("all", total)):
        if module != "all":
            total.update(found)
        caught = found["killed"] + found["timed out"]
        score = caught / max(caught + found["survived"], 1)
        figures = (found["killed"], found["timed out"], found["survived"], found["equivalent"])
        print(f"{module:<12} {figures[0]:>7} {figures[1]:>10} {figures[2]:>9} {figures[3]:>11} {score:>7.1%}")
    return score


def main() -> int:
    """Try all mutants of the modules that are named, or of all."""
    parser = argparse.ArgumentParser(prog="python -m mutation")
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=1, help="try only every n-th mutant")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--postgresql", action="store_true", help="try there what survives on SQLite")
    given = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    for name in (*LOADED, *(f"newsletter.{room}" for room in ROOMS_BELOW)):
        importlib.import_module(name)
    assert not any(name.startswith("newsletter.delivery") for name in sys.modules), (
        "the room is loaded before its mutants"
    )
    verdicts: dict[str, Counter[str]] = {}
    spared = equivalents()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp())
    server = postgresql(folder) if given.postgresql else ""
    for module in given.modules or MODULES:
        made = mutants(module, (ROOM / f"{module}.py").read_text())[given.start :: given.every]
        found = verdicts[module] = Counter()
        bench = measured(module, Bench(folder / module))
        left = []
        for mutant, verdict in tried(made, given.jobs, bench):
            if verdict == "survived":
                left.append((mutant, dict(made)[mutant]))
            else:
                found[verdict] += 1
        elsewhere = measured(module, Bench(folder / f"{module}-too", server)) if server and left else None
        for mutant, verdict in (
            tried(left, given.jobs, elsewhere) if elsewhere else ((one, "survived") for one, _ in left)
        ):
            excused = verdict == "survived" and mutant.name in spared
            found["equivalent" if excused else verdict] += 1
            if verdict == "survived" and not excused:
                print(f"survived  {mutant.module}.py:{mutant.line}: {mutant.before} -> {mutant.after}", flush=True)
        print(f"{module}: {len(made)} mutants, {time.monotonic() - began:.0f} s so far", flush=True)
    score = report(verdicts)
    return 0 if score >= PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
