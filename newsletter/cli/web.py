"""`newsletter web`: the web server.

Promise: serves ``newsletter.web`` on one port until SIGTERM, with hints to the
workers registered; a port that is taken is one line, not a traceback. Forwarded
headers are believed from this machine only, unless FORWARDED_ALLOW_IPS (uvicorn's
own setting) names the proxy. Access lines carry no reader's token.
"""

from __future__ import annotations

import socket

import typer
import uvicorn

from newsletter import migrations
from newsletter.cli.door import Door, ready
from newsletter.cli.serving import DEFAULT_HOST, DEFAULT_PORT, Host, Port, listening
from newsletter.db import Database
from newsletter.jobs import Waker
from newsletter.kit import logs
from newsletter.web.app import create_app

app = typer.Typer()


@app.command()
def web(host: Host = DEFAULT_HOST, port: Port = DEFAULT_PORT) -> None:
    """Serve the studio, the readers' pages and the API."""
    settings = ready()
    logs.setup(settings.log_format)
    with listening(host, port) as listener:
        database = Database.of(settings)
        try:
            with Waker(settings):
                serve(Door(settings, database), listener)
        finally:
            database.dispose()


def serve(door: Door, listener: socket.socket) -> None:
    """Serve until a signal asks to stop; open requests have five seconds."""
    config = uvicorn.Config(
        create_app(door.settings, door.database, require_ready=migrations.require_current),
        log_config=None,
        server_header=False,
        proxy_headers=True,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])
