"""How long it takes until the sending goes on: ``python -m crash.recovery``, part of ``make crash``.

Measured with the product's own workers and nothing moved by hand: from the kill of
a worker until nothing is in its hands any more, from the loss of the broker until
a new send is found, and from the return of the database until the next mail.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from crash.cluster import Cluster
from crash.database import Away, killed, locked
from crash.programs import program
from crash.relay import Relay
from crash.trial import through
from factories import cli
from factories.delivery import scheduled, status
from fixtures.databases import CHOICE, Databases
from sqlalchemy import func, select

from newsletter import config, delivery
from newsletter.config import Settings
from newsletter.db import Database
from newsletter.delivery.models import Delivery, DeliveryState, SenderProcess
from newsletter.kit import smtpd

READERS = 3000
AWAY_SECONDS = 5.0


class Site:
    """An installation with a relay, and a database that can be taken away."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recovery")))
        self.away: Away
        if CHOICE == "sqlite":
            url = Databases(folder).fresh_url()
            self.away = locked(url)
        else:
            cluster = stack.enter_context(Cluster())
            url = cluster.fresh_url()
            self.away = killed(cluster)
        cli.stamp(url)
        self.relay = Relay(pace=0.02)
        port = stack.enter_context(smtpd.Server(self.relay)).port
        plain = config.load(data_dir=folder, database_url=url, secret_key=cli.SECRET)
        self.settings: Settings = through(plain, port)
        self.database = Database(url)
        stack.callback(self.database.dispose)

    def in_hand(self, pid: int) -> int:
        """How many deliveries a process has claimed and not ended."""
        hands = Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.SENDING))
        mine = select(SenderProcess.id).where(SenderProcess.pid == pid)
        with self.database.read() as session:
            return session.scalars(select(func.count()).where(hands, Delivery.owner.in_(mine))).one()

    def complete(self, send_id: int) -> bool:
        return status(self.database, send_id).state is delivery.SendState.COMPLETE


def since(began: float, happened: Callable[[], bool], seconds: float = 120) -> float:
    """The seconds from ``began`` until something happens."""
    cli.eventually(happened, seconds)
    return time.monotonic() - began


def after_a_workers_death(site: Site) -> float:
    with ExitStack() as running:
        workers = [running.enter_context(program(site.settings, "worker")) for _ in range(2)]
        send_id = scheduled(site.database, READERS)
        cli.eventually(lambda: all(site.in_hand(worker.pid) for worker in workers))
        workers[0].kill()
        workers[0].wait()
        began = time.monotonic()
        took = since(began, lambda: not site.in_hand(workers[0].pid))
        cli.eventually(lambda: site.complete(send_id), seconds=300)
        return took


def after_the_brokers_loss(site: Site) -> float:
    with ExitStack() as running:
        with cli.broker(site.settings.data_dir):
            running.enter_context(program(site.settings, "worker"))
            send_id = scheduled(site.database, 1, prefix="first")
            cli.eventually(lambda: site.complete(send_id))
        before = len(site.relay.record)
        scheduled(site.database, 10, prefix="second")
        return since(time.monotonic(), lambda: len(site.relay.record) > before)


def after_the_databases_return(site: Site) -> float:
    with program(site.settings, "worker"):
        send_id = scheduled(site.database, READERS, prefix="third")
        before = len(site.relay.record)
        site.relay.wait_for(before + 100)
        with site.away():
            time.sleep(AWAY_SECONDS)
            silent = len(site.relay.record)
        took = since(time.monotonic(), lambda: len(site.relay.record) > silent)
        cli.eventually(lambda: site.complete(send_id), seconds=300)
        return took


MEASURED = {
    "a worker was killed: until others have its deliveries": (after_a_workers_death, 60),
    "the broker is gone: until a new send is found": (after_the_brokers_loss, 15),
    f"the database was away for {AWAY_SECONDS:g} s: until the next mail": (after_the_databases_return, 10),
}


def main() -> int:
    """Print each figure beside its target; 1 if one is missed."""
    missed = 0
    print(f"database {CHOICE}")
    with ExitStack() as stack:
        site = Site(stack)
        for title, (measure, target) in MEASURED.items():
            seconds = measure(site)
            missed += seconds > target
            print(f"{seconds:6.1f} s of {target:3} s allowed  {title}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
