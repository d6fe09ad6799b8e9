"""The process around the newsroom: its site, its readers' mail servers, and the local inbox.

Promise: one loop serves the inbox's pages and the magazine's site over HTTP and
every invented mailbox over SMTP, and plays what comes of the mail: reports that
go back over LMTP, readers who open, click and leave. It keeps everything in
memory and forgets it when it ends. ``python -m newsletter.cli.demo.stage`` runs
it; ``play`` starts it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import uvicorn
import uvloop

from newsletter.cli.demo.behaviour import Habit, casting
from newsletter.cli.demo.newsroom import LAST_WEEK, Newsroom
from newsletter.cli.demo.people import everybody
from newsletter.cli.demo.post import Post
from newsletter.cli.demo.readers import Readers
from newsletter.cli.demo.returns import REPORTS, hand_in, recipient
from newsletter.cli.serving import listening
from newsletter.kit import logs, smtpd
from newsletter.web.inbox import Box, Fate, create_app

log = logging.getLogger(__name__)

SITE: Final = "/meridian"
PUBLISH: Final = f"{SITE}/-/publish"
LOCAL: Final = "127.0.0.1"

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the stage stands. ``started`` (ISO 8601) is what the stories' dates count back from."""

    host: str
    port: int
    smtp_port: int
    lmtp_port: int
    address: str  # of this stage's pages, as a browser reaches it
    studio: str
    readers: int
    started: str
    last_week_only: bool

    def argv(self) -> list[str]:
        """Return the command that runs a stage with this setting."""
        return [sys.executable, "-m", __name__, json.dumps(asdict(self))]


class Stage:
    """Everything that plays, on one loop."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        people = everybody(setting.readers)
        self.box = Box([person.email for person in people])
        started = dt.datetime.fromisoformat(setting.started)
        until = started - LAST_WEEK if setting.last_week_only else None
        self.newsroom = Newsroom(setting.address + SITE, started, until)
        self.readers = Readers(len(people))
        self.post = Post(self.box, casting(people), self._consequence)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until a signal asks to stop; what was still to be played is forgotten."""
        config = uvicorn.Config(
            _site(self.newsroom, create_app(self.box, self.setting.studio)),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        with listening(self.setting.host, self.setting.port) as listener:
            mail = await smtpd.serve(self.post, host=LOCAL, port=self.setting.smtp_port, hostname="mx.mail.example.net")
            async with mail:
                await uvicorn.Server(config).serve(sockets=[listener])

    def _consequence(self, habit: Habit, return_path: str, address: str, message: bytes) -> None:
        if habit in REPORTS:
            self._play(self._return(habit, return_path, address, message))
        elif habit is not Habit.GREYLISTED:
            self._play(self.readers.act(habit, address, message))

    def _play(self, scene: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(scene)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _return(self, habit: Habit, return_path: str, address: str, message: bytes) -> None:
        """Send a report back after a while; the inbox shows it like any other mail."""
        await asyncio.sleep(random.uniform(2, 15))  # noqa: S311 - a delay
        report = REPORTS[habit](return_path, address, message)
        to = recipient(habit, return_path)
        reply = await hand_in(LOCAL, self.setting.lmtp_port, to=to, message=report)
        self.box.add(Fate.RETURNED, mail_from="", rcpt_to=to, reply=reply, message=report)


def _site(newsroom: Newsroom, inbox: App) -> App:
    """Return one application: the magazine below ``SITE``, the inbox everywhere else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith(SITE + "/"):
            await inbox(scope, receive, send)
        elif scope["method"] == "POST" and path == PUBLISH:
            newsroom.publish_all()
            await _answer(send, 204)
        else:
            page = newsroom.answer(path.removeprefix(SITE))
            if page is None:
                await _answer(send, 404, b"There is no such page.\n", "text/plain")
            elif dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1") == page.etag:
                await _answer(send, 304, etag=page.etag)
            else:
                await _answer(send, 200, page.body, page.media_type, page.etag)

    return app


async def _answer(send: Send, status: int, body: bytes = b"", media_type: str = "", etag: str = "") -> None:
    fields = {"content-type": media_type, "etag": etag}
    headers = [(name.encode(), value.encode()) for name, value in fields.items() if value]
    if status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Run the stage that the argument describes."""
    logs.setup("text")
    uvloop.run(Stage(Setting(**json.loads(sys.argv[1]))).run())


if __name__ == "__main__":
    main()
