"""The local inbox's pages: a list of envelopes, and one message in four views.

Promise: reads only, and shows nothing that was not received. Mail is rendered in
a frame of its own world: no script, no forms, no access to the page around it.
It asks for no sign-in and is meant for the demonstration on one's own machine.
"""

from __future__ import annotations

import datetime as dt
from itertools import islice
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from newsletter.editions.render import renderer
from newsletter.kit import clock
from newsletter.web import formats
from newsletter.web.inbox.box import SAMPLE, Box, Fate, Mail
from newsletter.web.inbox.letter import Letter, read
from newsletter.web.security import MAIL_POLICY, SecurityHeaders, policy
from newsletter.web.statics import PREFIX, Statics

PAGE: Final = 50
VIEWS: Final = ("html", "text", "headers", "source")
BUSY: Final = dt.timedelta(seconds=5)  # mail arrived so recently that more is to be expected
LONGEST_SEARCH: Final = 200


class UI:
    """What templates may call."""

    fmt: ModuleType = formats

    def __init__(self, statics: Statics) -> None:
        self._statics = statics

    def asset(self, name: str) -> str:
        """Return the address of a static file."""
        return self._statics.url(name)


class Pages:
    """The handlers, over one box. They are coroutines: they run on the loop that the box belongs to."""

    def __init__(self, box: Box, studio: str) -> None:
        self.box = box
        self.studio = studio
        self.statics = Statics.load()

    async def listing(self, request: Request) -> Response:
        """Show envelopes, newest first: ``q`` searches, ``fate`` filters, ``before`` turns the page."""
        text = request.query_params.get("q", "").strip()[:LONGEST_SEARCH]
        fate = next((known for known in Fate if known == request.query_params.get("fate")), None)
        before = _number(request.query_params.get("before", ""))
        found = list(islice(self.box.newest(before=before, text=text, fate=fate), PAGE + 1))
        following = ""
        if len(found) > PAGE:
            facts = {"q": text, "fate": fate or "", "before": found[PAGE - 1].number}
            following = "/?" + urlencode({name: value for name, value in facts.items() if value})
        latest = self.box.latest_at
        return self._page(
            "list.html",
            mails=found[:PAGE],
            text=text,
            fate=fate,
            older=following,
            newest=before is not None,
            polled=before is None and not text,
            live=latest is not None and clock.now() - latest < BUSY,
        )

    async def message(self, request: Request) -> Response:
        """Show one message in the view that is asked for; one that was not kept shows its envelope."""
        mail = self._mail(request)
        view = request.query_params.get("view", "")
        letter = self._letter(mail)
        if letter is None:
            view = ""
        elif view not in VIEWS:
            view = "html" if letter.html else "text"
        return self._page("message.html", mail=mail, letter=letter, view=view, views=VIEWS)

    async def body(self, request: Request) -> Response:
        """Answer with the HTML part alone, for the frame."""
        letter = self._letter(self._mail(request))
        if letter is None or not letter.html:
            raise HTTPException(404)
        rules = {**MAIL_POLICY, "frame-ancestors": "'self'"}
        return HTMLResponse(letter.framed, headers={"Content-Security-Policy": policy(rules)})

    async def download(self, request: Request) -> Response:
        """Answer with the bytes as they came."""
        mail = self._mail(request)
        raw = self.box.message(mail.number)
        if raw is None:
            raise HTTPException(404)
        name = f'attachment; filename="{mail.number}.eml"'
        return Response(raw, media_type="message/rfc822", headers={"Content-Disposition": name})

    async def static(self, request: Request) -> Response:
        """Answer with a static file of the studio."""
        if request.path_params["name"] not in self.statics.files:
            raise HTTPException(404)
        return self.statics.serve(request)

    def _mail(self, request: Request) -> Mail:
        mail = self.box.get(request.path_params["number"])
        if mail is None:
            raise HTTPException(404)
        return mail

    def _letter(self, mail: Mail) -> Letter | None:
        raw = self.box.message(mail.number)
        return read(raw) if raw is not None else None

    def _page(self, template: str, **facts: Any) -> HTMLResponse:  # noqa: ANN401 - facts are what the template names
        page = renderer().render(
            f"web/inbox/{template}",
            ui=UI(self.statics),
            box=self.box,
            counts={fate: self.box.counts[fate] for fate in Fate},
            sample=SAMPLE,
            studio=self.studio,
            **facts,
        )
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def create_app(box: Box, studio: str = "") -> Starlette:
    """Return the application; ``studio`` is the address that the pages link back to."""
    pages = Pages(box, studio)
    routes = [
        Route("/", pages.listing),
        Route("/m/{number:int}", pages.message),
        Route("/m/{number:int}/body", pages.body),
        Route("/m/{number:int}/raw", pages.download),
        Route(PREFIX + "{name}", pages.static),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(SecurityHeaders, secure=False)],
        exception_handlers={HTTPException: _no_such},
    )


async def _no_such(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse("There is no such mail here.\n", status)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - of digits
