"""The two addresses that count: a link to a story, and a picture of one pixel.

Promise: a click leads to a link of the edition that was sent and nowhere else;
what is forged or damaged is a page that says so, never a redirect (threat T8).
Neither waits for the database to write. HEAD is answered and told apart, since
only machines ask so.
"""

from __future__ import annotations

import base64
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter.config import Settings
from newsletter.db import Database
from newsletter.errors import BadToken, NotFound
from newsletter.events import Asked, Recorder, Targets, open_token
from newsletter.web.security import NO_STORE

PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")  # transparent, 43 bytes
HEADERS: Final = {"Cache-Control": NO_STORE, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


class Tracker:
    """Answers clicks and opens of one application. ``close`` writes what is left."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._secret = settings.secret
        self._targets = Targets(database)
        self._recorder = Recorder(database, settings)

    def close(self) -> None:
        """Write down what was counted."""
        self._recorder.close()

    def click(self, request: Request) -> Response:
        """Lead to the story."""
        n: int = request.path_params["n"]
        delivery = open_token(self._secret, request.path_params["token"])
        url = self._targets.resolve(delivery.send_id, n)
        if url is None:
            raise NotFound("This link leads nowhere.")
        self._recorder.click(delivery.send_id, delivery.seq, n, _asked(request))
        return RedirectResponse(url, 302, headers=HEADERS)

    def open(self, request: Request) -> Response:
        """Give the picture, whatever the token is worth: a mail must not show a broken one."""
        try:
            delivery = open_token(self._secret, request.path_params["token"])
        except BadToken:
            pass
        else:
            self._recorder.open(delivery.send_id, delivery.seq, _asked(request))
        return Response(PIXEL, media_type="image/gif", headers=HEADERS)


def _asked(request: Request) -> Asked:
    """Return what is looked at of a request; nothing of it is kept."""
    purpose = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return Asked(request.method, request.headers.get("user-agent", ""), prefetch="prefetch" in purpose.lower())
