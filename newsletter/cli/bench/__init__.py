"""`newsletter bench send`: how fast this machine sends, and how fast it could without a ledger.

Promise: the real rooms do the work, on a scratch database that is gone afterwards:
a publication, a round-up of about 20 kB with 25 tracked links and personal
fields, readers, the freeze, and as many sending processes as asked for. Then the
same processes push messages made beforehand through as many connections, without
a ledger: that is the limit. Without ``--transport`` the far end is a process of
ours that discards, and shares the processors with what is measured.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from sqlalchemy import make_url

from newsletter import config, delivery
from newsletter.cli.bench import stage
from newsletter.cli.bench.processes import pushing, sending, together
from newsletter.cli.output import document
from newsletter.db import Database
from newsletter.errors import Refused

CONNECTIONS: Final = 128
BASE_URL: Final = "https://news.example.org"

app = typer.Typer(no_args_is_help=True, help="Measure this machine.")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: ``connections`` are those of each of the ``workers``; ``reply_delay`` is in seconds."""

    recipients: int = 25_000
    transport: str = ""
    database: str = ""
    connections: int = CONNECTIONS
    workers: int = 1
    dkim: bool = False
    reply_delay: float = 0.0


@app.callback()
def bench() -> None:
    """Hold the measurements together; each is a command."""


@app.command()
def send(
    *,
    recipients: Annotated[int, typer.Option(min=1, help="How many readers.")] = 25_000,
    transport: Annotated[str, typer.Option(help="A relay to send to; default: a process that discards.")] = "",
    database: Annotated[str, typer.Option(help="A PostgreSQL server to make a scratch database on.")] = "",
    connections: Annotated[int, typer.Option(min=1, help="Connections of each process to the relay.")] = CONNECTIONS,
    workers: Annotated[int, typer.Option(min=1, help="Sending processes.")] = 1,
    dkim: Annotated[bool, typer.Option("--dkim", help="Sign every message with a new RSA-2048 key.")] = False,
    reply_delay: Annotated[
        float, typer.Option(min=0, help="Milliseconds that the discarding process waits before a reply to a message.")
    ] = 0.0,
) -> None:
    """Send an issue to made-up readers and print one JSON object with the figures."""
    document(measure(Plan(recipients, transport, database, connections, workers, dkim, reply_delay / 1000)))


def measure(plan: Plan) -> dict[str, Any]:
    """Run the measurement and return the object that the command prints; ``freeze_seconds`` is not in the rate."""
    with (
        stage.scratch(plan.database) as (url, folder),
        stage.relay(plan.transport, plan.connections, plan.reply_delay) as relay,
    ):
        settings = config.load(
            data_dir=folder,
            database_url=url,
            smtp_url=relay,
            base_url=BASE_URL,
            secret_key=secrets.token_hex(32),
            dkim_key=stage.dkim_key() if plan.dkim else "",
        )
        opened = Database.of(settings)
        send_id, frozen = stage.prepare(opened, settings, plan.recipients)
        sent = together(plan.workers, sending, settings)
        with opened.read() as session:
            status = delivery.status(session, send_id)
        opened.dispose()
        if status.accepted != plan.recipients:
            raise Refused(f"Not everything was accepted, so there is no figure: {status.summary} {status.problem}")
        share = plan.recipients // plan.workers
        limit = together(plan.workers, pushing, settings, send_id, share)
    seconds = max(one.seconds for one in sent)
    cpu_seconds = sum(one.cpu_seconds for one in sent)
    limit_rate = share * plan.workers / max(one.seconds for one in limit)
    return {
        "recipients": plan.recipients,
        "seconds": round(seconds, 3),
        "rate": round(plan.recipients / seconds, 1),
        "cpu_seconds": round(cpu_seconds, 3),
        "rate_per_cpu_second": round(plan.recipients / cpu_seconds, 1),
        "limit_rate": round(limit_rate, 1),
        "share_of_limit": round(plan.recipients / seconds / limit_rate, 3),
        "peak_memory_mb": round(max(one.peak_memory_mb for one in sent), 1),
        "workers": plan.workers,
        "database": make_url(settings.database).get_backend_name(),
        "freeze_seconds": round(frozen, 3),
    }
