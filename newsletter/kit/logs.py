"""Log lines: for people or for machines, and never with a secret in them.

Promise: after ``setup`` every logger of the process, ours and the libraries',
writes one line a record to standard error, as text or as JSON; the token of a
reader's link and the password of an address are replaced by an ellipsis before
anything is written (T9, T25). It reads no environment.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Final, Literal, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

# A capability in the path of a link: whoever holds it may act as the reader.
_TOKEN: Final = re.compile(r"/(u|p|confirm|c|o|sign-in/link|hooks/[a-z]+)/[A-Za-z0-9_.\-]{8,}")
_PASSWORD: Final = re.compile(r"://([^/\s:@]*):[^/\s@]+@")

QUIET: Final = ("httpx2", "httpcore2", "asyncio", "kombu", "amqp", "alembic.runtime.migration", "cssutils")


def redact(text: str) -> str:
    """Replace link tokens and the passwords of addresses."""
    return _PASSWORD.sub(r"://\1:…@", _TOKEN.sub(r"/\1/…", text))


def setup(
    log_format: Literal["text", "json"], *, level: int = logging.INFO, stream: TextIO | None = None
) -> logging.Handler:
    """Send the records of every logger to ``stream`` (standard error); return the handler."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(log_format, out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    return handler


def _renderers(log_format: Literal["text", "json"], out: TextIO) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False), _redacted]
    console = structlog.dev.ConsoleRenderer(
        colors=out.isatty(), timestamp_key="at", exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
    return [console, _redacted]


def _redacted(_logger: WrappedLogger, _method: str, rendered: EventDict | str) -> str:
    return redact(str(rendered))
