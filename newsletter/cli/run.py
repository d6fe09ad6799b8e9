"""`newsletter run`: the whole newsroom on one machine, in one command.

Promise: database brought up to date, embedded broker (unless BROKER_URL names
one), worker, beat and web server as supervised programs under DATA_DIR; the
address is printed when the web server answers and, while nobody works here yet, a
one-time link that makes the first administrator. A second start in the same
DATA_DIR is refused; SIGTERM stops everything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Annotated, Final

import typer

from newsletter import migrations, staff
from newsletter.cli import valkey
from newsletter.cli.door import ACTOR, load
from newsletter.cli.output import say
from newsletter.cli.serving import DEFAULT_HOST, DEFAULT_PORT, Host, Port, listening, reachable
from newsletter.cli.supervise import Program, Supervisor
from newsletter.config import PREFIX, Settings
from newsletter.db import Database
from newsletter.staff import Role

FIRST_ADMIN: Final = "admin@newsroom.example"
ANSWER_SECONDS: Final = 2.0

app = typer.Typer()


@app.command()
def run(
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    *,
    admin: Annotated[str, typer.Option(help="Address of the first administrator, made on an empty database.")] = "",
) -> None:
    """Run everything on this machine: web server, worker, beat and broker."""
    settings = load()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # readers' addresses will lie in it
    with Supervisor(settings.data_dir) as supervisor:
        listening(host, port).close()  # what cannot work is told before anything starts
        environment = shared_environment(settings, host, port)
        started = programs(settings, host, port, environment)
        link = prepare(settings, admin or FIRST_ADMIN)
        address = environment[f"{PREFIX}BASE_URL"]

        def announce() -> None:
            say(f"newsletter runs at {address}")
            if link:
                say(f"make yourself the administrator within 24 hours: {address}{link}")

        code = supervisor.run(started, announce)
    raise typer.Exit(code)


def prepare(settings: Settings, admin: str) -> str:
    """Bring the database up to date; return the path of the first administrator's link, empty if there are people."""
    database = Database.of(settings)
    try:
        migrations.upgrade(database)
        with database.transaction() as session:
            if staff.count(session):
                return ""
            member = staff.create(session, email=admin, role=Role.ADMIN)
            staff.audit(session, actor=ACTOR, action="made the first administrator", subject=f"staff:{member.id}")
            return f"/sign-in/link/{staff.login_link(session, member.id)}"
    finally:
        database.dispose()


def shared_environment(settings: Settings, host: str, port: int) -> dict[str, str]:
    """Return what every program gets: the same folder, and the address that links start with."""
    name = reachable(host)
    local = f"http://{f'[{name}]' if ':' in name else name}:{port}"
    return {
        f"{PREFIX}DATA_DIR": str(settings.data_dir.resolve()),
        f"{PREFIX}BASE_URL": settings.base_url if "base_url" in settings.model_fields_set else local,
    }


def programs(settings: Settings, host: str, port: int, environment: dict[str, str]) -> Sequence[Program]:
    """Return the programs of one machine: broker first, then worker, beat and web server together."""
    started = [valkey.program(settings)] if settings.embedded_broker else []
    web = command("web", "--host", host, "--port", str(port))
    return [
        *started,
        Program("worker", command("worker"), environment),
        Program("beat", command("beat"), environment),
        Program("web", web, environment, ready=lambda: answers(host, port)),
    ]


def command(*arguments: str) -> list[str]:
    """Return the argv of one of our own commands, in this same Python."""
    return [sys.executable, "-m", "newsletter", *arguments]


def answers(host: str, port: int) -> bool:
    """Whether the web server says that it lives."""
    connection = HTTPConnection(reachable(host), port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
