"""Errors as pages: one friendly sentence, never a traceback.

Promise: every ``NewsletterError`` becomes a page (JSON under /api/) of its own
status; anything else becomes a page that says nothing about the inside and a
traceback in the log. Rendering an error asks no database.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from newsletter.errors import NewsletterError, UserError
from newsletter.web import access, pages, security
from newsletter.web.site import Site
from newsletter.web.visits import Visit

log = logging.getLogger(__name__)

SENTENCES: Mapping[int, str] = {
    400: "The request could not be read.",
    404: "There is no page at this address.",
    405: "This address does not take that kind of request.",
    413: "What was sent is too large.",
    500: "Something went wrong on our side. It has been noted; please try again in a moment.",
    503: "The service is busy or being worked on. Please try again in a moment.",
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(NewsletterError, _ours)
    app.add_exception_handler(access.SignInNeeded, _sign_in)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(Exception, _unexpected)


def answer(
    request: Request, status: int, sentence: str = "", *, headers: Mapping[str, str] | None = None, field: str = ""
) -> Response:
    """Return an error's page, or JSON for a program; ``field`` names the value that is to blame."""
    sentence = sentence or SENTENCES.get(status, SENTENCES[400 if status < HTTPStatus.INTERNAL_SERVER_ERROR else 500])
    site = Site.of(request)
    known = {**security.headers_for(request.url.path, secure=site.secure), "Cache-Control": security.NO_STORE}
    if request.url.path.startswith("/api/"):
        said = {"error": sentence, "field": field} if field else {"error": sentence}
        return JSONResponse(said, status, headers={**known, **(headers or {})})
    template = "editor/error.html" if request.url.path.startswith(security.STUDIO) else "public/error.html"
    title = HTTPStatus(status).phrase
    body = pages.render(site, template, visit=Visit(site, request), said="", title=title, sentence=sentence)
    return HTMLResponse(body, status, headers={**known, **(headers or {})})


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, NewsletterError)
    if not isinstance(error, UserError):
        log.warning("%s: %s", type(error).__name__, error.message)
    return answer(request, error.status, error.message, field=getattr(error, "field", None) or "")


def _sign_in(request: Request, _error: Exception) -> Response:
    """Send a browser to sign in and back; a form or a program is told so, and nothing that was typed is lost."""
    if request.url.path.startswith("/api/"):
        return answer(request, HTTPStatus.UNAUTHORIZED, "Sign in first.")
    if request.method in access.SAFE:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(path, safe='')}", HTTPStatus.SEE_OTHER)
    sentence = "You have been signed out, so this was not saved. Sign in in another tab, come back here and save again."
    return answer(request, HTTPStatus.UNAUTHORIZED, sentence)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(request, error.status_code, headers=error.headers)


def _unread(request: Request, _error: Exception) -> Response:
    """A number in an address that is none: such a page does not exist."""
    return answer(request, HTTPStatus.NOT_FOUND)


def _database(request: Request, error: Exception) -> Response:
    log.error("the database did not answer: %s", error)
    return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "10"})


def _unexpected(request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer, so the server logs its traceback.
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR)
