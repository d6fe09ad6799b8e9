"""`newsletter demo`: a working newsroom in one command, without a network or an account.

Promise: database, embedded broker, worker, beat, web server, bounce intake and
the stage (an invented magazine, its readers' mailboxes, a local inbox) as
supervised programs in a folder of their own; the addresses are printed when the
studio answers. Settings other than DATA_DIR are ignored, so that it never
touches a real newsroom's database or relay. A second one is refused, ``--reset``
starts over, Ctrl-C stops everything.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from newsletter import config
from newsletter.cli import valkey
from newsletter.cli.demo import folder
from newsletter.cli.demo.people import READERS
from newsletter.cli.demo.script import SLUG, Script, play_in_background
from newsletter.cli.demo.stage import LOCAL, Setting
from newsletter.cli.run import answers, command
from newsletter.cli.serving import DEFAULT_HOST, DEFAULT_PORT, Host, Port, listening, reachable
from newsletter.cli.supervise import Program, Supervisor
from newsletter.config import PREFIX, SECRETS, Settings
from newsletter.db import Database
from newsletter.errors import Refused
from newsletter.jobs import Waker

DEFAULT_FOLDER: Final = Path("data/demo")
BOUNCES: Final = "bounces.meridian.example"
CONNECTIONS: Final = 16  # to the local inbox

app = typer.Typer()


@app.command()
def demo(
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the last demonstration and start a new one.")] = False,
    readers: Annotated[int, typer.Option(min=1, max=READERS, hidden=True)] = READERS,
) -> None:
    """Show everything at work: an invented newsroom, 25,000 readers and a local inbox."""
    data = _data_dir()
    folder.claim(data)
    with Supervisor(data, echo=False) as supervisor:
        listening(host, port).close()  # a taken port is told before anything is wiped or started
        if reset:
            folder.wipe(data)
        marker = folder.remembered(data) or folder.remember(data, _free_port(host, port + 1))
        _check_free(host, marker.port)
        typer.echo(f"Preparing the demonstration in {data} …")
        code = _run(supervisor, data, host, Ports.chosen(web=port, stage=marker.port), marker.started, readers)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of this start: two that are told, and two that only the programs need to know."""

    web: int
    stage: int
    smtp: int
    lmtp: int

    @classmethod
    def chosen(cls, *, web: int, stage: int) -> Ports:
        """Take free ones for the two that nobody is told."""
        return cls(web, stage, _free_port(LOCAL, 0), _free_port(LOCAL, 0))


def _run(supervisor: Supervisor, data: Path, host: str, ports: Ports, started: str, readers: int) -> int:
    """Run every program until a signal asks to stop, and play the script meanwhile; return the exit code."""
    settings = _settings(data, host, ports)
    stop = threading.Event()
    script = Script(settings, Database.of(settings), _address(host, ports.stage), readers, typer.echo, stop)
    link = script.prepare()
    stage = Setting(
        host=host,
        port=ports.stage,
        smtp_port=ports.smtp,
        lmtp_port=ports.lmtp,
        address=script.stage,
        studio=settings.base_url,
        readers=readers,
        started=started,
        last_week_only=not script.begun(),
    )
    programs = _programs(settings, stage, host, ports)
    with Waker(settings):
        play_in_background(script, lambda: _connects(host, ports.stage))
        code = supervisor.run(programs, lambda: _announce(settings, script.stage, link, data))
    stop.set()
    return code


def _data_dir() -> Path:
    """Return DATA_DIR if it is set, else a folder of the demonstration's own."""
    settings = config.load()
    return settings.data_dir if "data_dir" in settings.model_fields_set else DEFAULT_FOLDER


def _settings(data: Path, host: str, ports: Ports) -> Settings:
    """Return the settings of the demonstration: nothing from the environment counts."""
    defaults: dict[str, Any] = {name: field.default for name, field in Settings.model_fields.items()}
    return config.load(**defaults | _chosen(data, host, ports))


def _chosen(data: Path, host: str, ports: Ports) -> dict[str, Any]:
    return {
        "data_dir": str(data.resolve()),
        "base_url": _address(host, ports.web),
        "smtp_url": f"smtp://{LOCAL}:{ports.smtp}?connections={CONNECTIONS}",
        "bounce_domain": BOUNCES,
        "fetch_allow": reachable(host),
    }


def _programs(settings: Settings, stage: Setting, host: str, ports: Ports) -> list[Program]:
    nothing = {f"{PREFIX}{name.upper()}": "" for name in Settings.model_fields}
    nothing |= {f"{PREFIX}{name}_FILE": "" for name in SECRETS}
    chosen = _chosen(settings.data_dir, host, ports)
    environment = nothing | {f"{PREFIX}{name.upper()}": str(value) for name, value in chosen.items()}
    return [
        valkey.program(settings),
        Program("stage", stage.argv(), environment, ready=lambda: _connects(host, ports.stage), foundation=True),
        Program("worker", command("worker"), environment),
        Program("beat", command("beat"), environment),
        Program("intake", command("bounce", "intake", "--lmtp", f"{LOCAL}:{ports.lmtp}"), environment),
        Program(
            "web",
            command("web", "--host", host, "--port", str(ports.web)),
            environment,
            ready=lambda: answers(host, ports.web),
        ),
    ]


def _announce(settings: Settings, stage: str, link: str, data: Path) -> None:
    typer.echo(
        f"""
  The demonstration runs.

    Studio        {settings.base_url}{link}
                  (signs you in as the editor, once; a new link is printed at every start)
    Local inbox   {stage}/
    Sign-up page  {settings.base_url}/n/{SLUG}

  Ctrl-C stops it. Start it again with --reset to begin anew. Logs are in {data}/logs.
"""
    )


def _address(host: str, port: int) -> str:
    name = reachable(host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((reachable(host), port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(host: str, wanted: int) -> int:
    """Return ``wanted`` if it is free, else a port that is."""
    for port in (wanted, 0):
        try:
            with listening(host, port) as listener:
                return int(listener.getsockname()[1])
        except (Refused, OverflowError):
            continue
    raise Refused(f"There is no free port on {host}.")


def _check_free(host: str, port: int) -> None:
    try:
        listening(host, port).close()
    except Refused as error:
        raise Refused(
            f"Port {port}, where the demonstration's newsroom answers, is taken; free it or start with --reset."
        ) from error
