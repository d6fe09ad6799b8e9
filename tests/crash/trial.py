"""One send under fire: its processes, its relay, its faults, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from crash.relay import Relay
from factories import cli
from factories.delivery import rows, status
from sqlalchemy import ColumnElement, func, select, update
from typer.testing import CliRunner

from newsletter import delivery
from newsletter.cli import app
from newsletter.config import Settings
from newsletter.db import Database, later
from newsletter.delivery.models import Delivery, DeliveryState, Recipient

TESTS = Path(__file__).parents[1]
CONNECTIONS = 4
EAGER = delivery.Options(patience=delivery.Patience(first=0.0, lost=0.0))
SETTLED_SECONDS = 300  # after the end of a fault


@dataclass
class Trial:
    """A send of ``readers`` that has begun, and the processes that work on it."""

    database: Database
    settings: Settings
    relay: Relay
    send_id: int = 0
    connections: int = CONNECTIONS
    kills: int = 0
    cuts: int = 0  # connections to the relay that somebody else broke
    suppressed: frozenset[str] = frozenset()
    processes: list[subprocess.Popen] = field(default_factory=list)

    # -- processes ---------------------------------------------------------------

    def start(self, *, settings: Settings | None = None, **orders) -> subprocess.Popen:
        """Start a process that sends; ``orders`` are those of ``crash.child``."""
        usual = {"point": "", "nth": 1, "memory": False, "loop": False, "hours": 0, "patience": {}, "timeouts": {}}
        assert not set(orders) - set(usual)
        orders = usual | orders | {"settings": given(settings or self.settings)}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
        process = subprocess.Popen(
            [sys.executable, "-m", "crash.child", json.dumps(orders)], env=environment, cwd=TESTS
        )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen) -> None:
        """SIGKILL, whatever it is doing."""
        process.send_signal(signal.SIGKILL)
        self.killed(process)

    def killed(self, process: subprocess.Popen, seconds: float = 60) -> None:
        """Wait for a process that kills itself."""
        code = process.wait(seconds)
        assert code == -signal.SIGKILL, f"it should have been killed, and ended with {code}"
        self.kills += 1

    def terminate(self, process: subprocess.Popen) -> float:
        """SIGTERM; return the seconds until it was gone."""
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        return time.monotonic() - began

    # -- what holds ----------------------------------------------------------------

    def leases_run_out(self, *of: ColumnElement[bool]) -> None:
        """As if a minute had passed since the last sign of life of every process, or of those that are meant."""
        leased = (Delivery.send_id == self.send_id, Delivery.lease_until.is_not(None), *of)
        with self.database.transaction() as session:
            # In the order of the key, as the ledger locks.
            session.execute(select(Delivery.seq).where(*leased).order_by(Delivery.seq).with_for_update()).all()
            session.execute(
                update(Delivery).where(*leased).values(lease_until=later(-1)),
                execution_options={"synchronize_session": False},
            )

    def all_due(self) -> None:
        """As if the deferred had waited long enough."""
        with self.database.transaction() as session:
            session.execute(
                update(Delivery).where(Delivery.not_before.is_not(None)).values(not_before=None),
                execution_options={"synchronize_session": False},
            )

    def recover(self) -> None:
        self.leases_run_out()
        delivery.recover(self.database)
        found = status(self.database, self.send_id)
        assert found.claimed == found.sending == 0

    def settle(self) -> delivery.SendStatus:
        """Let the send come to its end, the fault being over."""
        self.recover()
        deadline = time.monotonic() + SETTLED_SECONDS
        while (found := status(self.database, self.send_id)).state is not delivery.SendState.COMPLETE:
            assert time.monotonic() < deadline, f"not at its end {SETTLED_SECONDS} s after the fault: {found}"
            self.all_due()
            delivery.run(self.database, self.settings, options=EAGER)
            delivery.recover(self.database)
        return found

    def check(self) -> delivery.SendStatus:
        """Hold the ledger against what the relay saw. Whoever was sent, is: nobody is lost, doubled or in hiding."""
        found = status(self.database, self.send_id)  # checks: audience = sum of the states
        assert (found.state, found.unfinished) == (delivery.SendState.COMPLETE, 0)
        ledger = rows(self.database, self.send_id)
        assert len(ledger) == found.audience == self._frozen(), "every recipient has exactly one row"
        served = self.relay.served
        doubled = {address: count for address, count in served.items() if count > 1}
        assert not doubled, "served twice"
        for address, row in ledger.items():
            if row.state is DeliveryState.ACCEPTED:
                assert served[address] == 1, f"{address} is accepted and never was at the relay"
        for address in served:
            assert ledger[address].state in (DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN), (
                f"{address} was served and is {ledger[address].state}"
            )
        assert not self.suppressed & set(served), "a suppressed reader was served"
        self._check_message_ids()
        self._check_uncertain(ledger, found.uncertain)
        return found

    def settled(self) -> delivery.SendStatus:
        """Settle and check."""
        self.settle()
        return self.check()

    def _frozen(self) -> int:
        with self.database.read() as session:
            people = func.count(Recipient.address.distinct())
            return session.scalars(select(people).where(Recipient.send_id == self.send_id)).one()

    def _check_message_ids(self) -> None:
        """One for each reader, the same at every attempt."""
        pairs = {(body.address, body.message_id) for body in self.relay.record}
        assert len(pairs) == len({address for address, _ in pairs}) == len({ident for _, ident in pairs})

    def _check_uncertain(self, ledger: dict[str, delivery.RecipientRow], count: int) -> None:
        names = {address for address, row in ledger.items() if row.state is DeliveryState.UNCERTAIN}
        most = 2 * self.connections * self.kills + self.relay.broken + self.cuts
        assert count == len(names) <= most, f"{count} uncertain, {most} allowed"
        assert all(ledger[name].reply for name in names), "each says why"
        assert listed(self.settings, self.send_id) == names, "each is listed by name"


def listed(settings: Settings, send_id: int) -> set[str]:
    """The addresses that ``newsletter send recipients SEND --state uncertain`` prints."""
    environment = cli.environment(settings.data_dir, settings.database_url)
    found: set[str] = set()
    after: list[str] = []
    while True:
        words = ["send", "recipients", str(send_id), "--state", "uncertain", "--limit", "200", "--json", *after]
        done = CliRunner().invoke(app, words, env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        page = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {row["address"] for row in page}
        if len(page) < 200:
            return found
        after = ["--after", str(page[-1]["seq"])]


def given(settings: Settings) -> dict[str, str]:
    """Settings in the form in which a process is given them."""
    words = ("database_url", "broker_url", "base_url", "secret_key")
    return {
        "data_dir": str(settings.data_dir),
        "smtp_url": " ".join(settings.smtp_url),
        **{word: getattr(settings, word) for word in words},
    }


def through(settings: Settings, port: int, *, connections: int = CONNECTIONS, scheme: str = "smtp") -> Settings:
    """The settings with a relay on a port of this machine."""
    return settings.model_copy(update={"smtp_url": (f"{scheme}://127.0.0.1:{port}?connections={connections}",)})
