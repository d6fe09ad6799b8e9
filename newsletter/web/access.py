"""Who may call: each handler declares it by the type of its visit.

Promise: a handler whose parameter is ``Editor`` runs only for a signed-in person
whose role is editor or higher, and, if the request changes something, only when
the form is ours. Nothing is declared by a path prefix, so that no spelling of a
path gets around it (threat T13); a test walks all routes.

    def approve(visit: Editor, issue_id: int) -> Response: ...
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from newsletter import staff
from newsletter.errors import Forbidden
from newsletter.staff.models import Role
from newsletter.web.forms import Fields, read_fields
from newsletter.web.site import Site
from newsletter.web.visits import Visit

SESSION: Final = "session"
SAFE: Final = ("GET", "HEAD")


class SignInNeeded(Exception):
    """The page is for people who have signed in."""


def signed_in(request: Request) -> Visit:
    """Return the visit of whoever has signed in, without a form; raise ``SignInNeeded``."""
    visit = Visit(Site.of(request), request)
    key = visit.cookie(SESSION)
    if not key:
        raise SignInNeeded
    with visit.reading() as session:
        member = staff.session_member(session, key)
    if member is None:
        raise SignInNeeded
    return replace(visit, member=member, key=key)


@dataclass(frozen=True, slots=True)
class Require:
    """The dependency that lets in people of ``role`` and higher."""

    role: Role

    def __call__(self, request: Request, fields: Annotated[Fields, Depends(read_fields)]) -> Visit:
        """Return the visit, or raise ``SignInNeeded`` or ``Forbidden``."""
        visit = replace(signed_in(request), fields=fields)
        if request.method not in SAFE:
            visit.insist_form_is_ours()
        if not visit.may(self.role):
            raise Forbidden(f"This needs the role of {self.role}; you are signed in as {visit.person.role}.")
        return visit


def anyone(request: Request, fields: Annotated[Fields, Depends(read_fields)]) -> Visit:
    """Let everybody in: reader pages and the way to sign in."""
    return Visit(Site.of(request), request, fields)


def link_holder(request: Request, fields: Annotated[Fields, Depends(read_fields)]) -> Visit:
    """Let in whoever holds a signed link: the token in the address is the permission, no cookie counts."""
    return Visit(Site.of(request), request, fields)


Anyone = Annotated[Visit, Depends(anyone)]
LinkHolder = Annotated[Visit, Depends(link_holder)]
Viewer = Annotated[Visit, Depends(Require(Role.VIEWER))]
Writer = Annotated[Visit, Depends(Require(Role.WRITER))]
Editor = Annotated[Visit, Depends(Require(Role.EDITOR))]
