"""Where a web server listens: the options and the socket.

Promise: ``listening`` returns a socket that listens, or says in one line why it
cannot. It serves nothing.
"""

from __future__ import annotations

import socket
from typing import Annotated, Final

import typer

from newsletter.errors import Refused

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8000
BACKLOG: Final = 2048

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network of this machine.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket, or raise ``Refused`` saying why not."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Refused(
            f"Cannot listen on {host} port {port}: {error.strerror}; choose another with --host and --port."
        ) from error


def reachable(host: str) -> str:
    """Return the address under which this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - only looked up
