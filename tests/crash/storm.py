"""Send after send while their processes are killed and everything around them fails; ``make crash``.

    python -m crash.storm [--kills 1000] [--seed N]

Every round is one send to some hundred readers by several workers, each killed at
a random moment or at a random point, with a relay that misbehaves and links that
break. After each round the ledger is held against what the relay saw. Exits 1
with the seed when anything does not hold. ``NEWSLETTER_TEST_DATABASE`` chooses
the database, as for the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from crash.database import locked
from crash.links import proxied_database
from crash.points import POINTS
from crash.proxy import Proxy
from crash.relay import OFFERS, Fault, Relay
from crash.trial import Trial, through
from factories import cli
from factories.delivery import scheduled, status
from fixtures.databases import CHOICE, Databases
from sqlalchemy import select

from newsletter import config, delivery
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.models import Delivery, DeliveryState, SenderProcess
from newsletter.kit import smtpd
from newsletter.kit.smtpd import Answer

WORKERS = 3
CONNECTIONS = 3
KILLS = 12  # in a round
ANSWERS = (
    "421 4.3.2 Closing", "451 4.3.0 Try again", "550 5.1.1 Unknown", Answer(drop=True), Answer(raw=(b"what?\r\n",)),
    Answer(raw=(b"25",), drop=True), Answer(raw=(b"250-Ok\r\n", b"550 No\r\n")), Answer("250 2.0.0 Ok", delay=1.0),
)  # fmt: skip
HASTY = {"timeouts": {"command": 10, "body": 10, "data": 10}, "patience": {"first": 0.5, "longest": 2, "lost": 0.2}}


@dataclass
class Figures:
    """What happened; added up over the rounds."""

    readers: int = 0
    bodies: int = 0
    kills: int = 0
    faults: int = 0
    cuts: int = 0
    refused: int = 0
    uncertain: int = 0
    of_these_served: int = 0
    lost: int = 0
    doubled: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Round:
    """One send under fire."""

    def __init__(self, trial: Trial, proxies: list[Proxy], dice: random.Random, kills: int) -> None:
        self.trial, self.proxies, self.dice = trial, proxies, dice
        self.kills = kills
        self.workers: list[subprocess.Popen] = []

    def run(self) -> float:
        """Send, under fire until enough were killed; return the seconds from its end to that of the send."""
        while self.trial.kills < self.kills and not self.over():
            self.bury()
            while len(self.workers) < WORKERS:
                self.workers.append(self.worker())
            self.wait_for_progress()
            self.dice.choice((self.kill, self.kill, self.disturb, self.recover))()
        self.trial.relay.faults = []
        self.trial.relay.pace = 0
        self.bury()
        for process in self.workers:
            self.trial.kill(process)
        began = time.monotonic()
        self.trial.settle()
        return time.monotonic() - began

    def worker(self) -> subprocess.Popen:
        point = self.dice.choice([*POINTS, *[""] * len(POINTS)])
        return self.trial.start(loop=True, point=point, nth=self.dice.randint(1, 20), **HASTY)

    def wait_for_progress(self) -> None:
        """Until some more bodies have come, so that who is killed is at work."""
        relay, goal = self.trial.relay, len(self.trial.relay.record) + self.dice.randint(1, 40)
        with relay.changed:
            relay.changed.wait_for(lambda: len(relay.record) >= goal, timeout=3)

    def over(self) -> bool:
        return status(self.trial.database, self.trial.send_id).state is delivery.SendState.COMPLETE

    def bury(self) -> None:
        """Count those who killed themselves."""
        for process in [one for one in self.workers if one.poll() is not None]:
            self.trial.killed(process)
            self.workers.remove(process)

    def kill(self) -> None:
        if self.workers:
            victim = self.workers.pop(0 if self.dice.random() < 0.8 else -1)  # the oldest: the youngest just starts
            if victim.poll() is None:
                self.trial.kill(victim)
            else:
                self.trial.killed(victim)

    def disturb(self) -> None:
        """Break a link for a moment; with SQLite the file is locked."""
        if not self.proxies or self.dice.random() < 0.3:
            self.lock()
            return
        proxy = self.dice.choice(self.proxies)
        match self.dice.randrange(3):
            case 0:
                proxy.reset()
            case 1:
                proxy.stall()
            case _:
                proxy.refuse()
                proxy.reset()
        time.sleep(self.dice.uniform(0, 0.5))
        proxy.let_pass()

    def lock(self) -> None:
        if self.trial.database.dialect != "sqlite":
            return
        with locked(self.trial.settings.database_url)():
            time.sleep(self.dice.uniform(0, 0.5))

    def recover(self) -> None:
        """As if a minute had passed for the dead; sometimes the living are late, too."""
        alive = [process.pid for process in self.workers if self.dice.random() > 0.1]
        dead = select(SenderProcess.id).where(SenderProcess.pid.not_in(alive))
        self.trial.leases_run_out(Delivery.owner.in_(dead))
        delivery.recover(self.trial.database)


def figures(trial: Trial) -> Figures:
    """Count what ``check`` is about to judge."""
    served = trial.relay.served
    with trial.database.read() as session:
        rows = []
        page = delivery.recipients(session, trial.send_id, limit=200)
        rows += page.rows
        while page.next_after is not None:
            page = delivery.recipients(session, trial.send_id, after=page.next_after, limit=200)
            rows += page.rows
    uncertain = [row.address for row in rows if row.state is DeliveryState.UNCERTAIN]
    known = (DeliveryState.UNCERTAIN, DeliveryState.REFUSED, DeliveryState.SKIPPED)
    return Figures(
        readers=len(rows),
        bodies=len(trial.relay.record),
        kills=trial.kills,
        faults=trial.relay.struck,
        cuts=trial.cuts,
        refused=sum(row.state is DeliveryState.REFUSED for row in rows),
        uncertain=len(uncertain),
        of_these_served=sum(served[address] > 0 for address in uncertain),
        lost=sum(not served[row.address] and row.state not in known for row in rows),
        doubled=sum(count - 1 for count in served.values()),
    )


@contextlib.contextmanager
def fought(databases: Databases, folder: Path, dice: random.Random) -> Iterator[Trial]:
    """A send on a database of its own, its relay, and links to both that can break."""
    url = databases.fresh_url()
    cli.stamp(url)
    settings = config.load(data_dir=folder, database_url=url, secret_key=cli.SECRET)
    relay = Relay(offers=OFFERS[dice.choice(list(OFFERS))], file=folder / "bodies.log", dice=dice)
    relay.faults = [
        Fault(at, answer, chance=dice.choice((0, 0.002, 0.01)))
        for at in ("greeting", "mail", "rcpt", "data", "body")
        for answer in ANSWERS
    ]
    relay.pace = dice.uniform(0.02, 0.2)
    database = Database(url)
    with smtpd.Server(relay) as server:
        yield Trial(database, through(settings, server.port, connections=CONNECTIONS), relay, connections=CONNECTIONS)
    database.dispose()
    databases.drop(url)


def one_round(databases: Databases, folder: Path, seed: int, kills: int) -> tuple[Figures, float]:
    """Fight one round; ``AssertionError`` if anything does not hold afterwards."""
    dice = random.Random(seed)
    with fought(databases, folder, dice) as trial, contextlib.ExitStack() as links:
        plain: Settings = trial.settings
        to_relay = links.enter_context(Proxy(("127.0.0.1", urlsplit(plain.smtp_url[0]).port or 0)))
        proxies = [to_relay]
        trial.settings = through(plain, to_relay.port, connections=CONNECTIONS)
        if CHOICE != "sqlite":
            to_database, url = links.enter_context(proxied_database(plain.database_url))
            proxies.append(to_database)
            trial.settings = trial.settings.model_copy(update={"database_url": url})
        trial.send_id = scheduled(trial.database, dice.randint(300, 900))
        under_fire = Round(trial, proxies, dice, kills)
        try:
            settled = under_fire.run()
            trial.settings = plain
            trial.cuts = to_relay.cut
            found = figures(trial)
            trial.check()
        finally:
            for process in trial.processes:
                process.kill()
                process.wait()
    return found, settled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    asked = parser.parse_args()
    total, slowest, number, began = Figures(), 0.0, 0, time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="storm"))
    databases = Databases(folder)
    print(f"seed {asked.seed}, database {CHOICE}, {WORKERS} workers with {CONNECTIONS} connections each", flush=True)
    while total.kills < asked.kills:
        number += 1
        (place := folder / str(number)).mkdir()
        try:
            found, settled = one_round(databases, place, asked.seed + number, min(KILLS, asked.kills - total.kills))
        except AssertionError as error:
            print(f"round {number} (the first of --seed {asked.seed + number - 1}): {error}", file=sys.stderr)
            print(f"what the relay got is in {place}", file=sys.stderr)
            return 1
        total, slowest = total + found, max(slowest, settled)
        print(f"{total.kills:5} of {asked.kills} kills; round {number}: {found}", flush=True)
    print(
        f"\n{number} sends in {time.monotonic() - began:.0f} s; the longest ended {slowest:.1f} s after its last kill"
    )
    for one in fields(total):
        print(f"{one.name.replace('_', ' '):>16} {getattr(total, one.name):8}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
