"""Signing in by password or by one-time link, signing out, and one's own password.

Promise: a session's key is new at every sign-in and stands only in a cookie. A
one-time link is used up by its button, never by opening it, since mail scanners
open links. After signing in nobody is sent to another site (threat T8).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from typing import Final

from starlette.responses import RedirectResponse, Response

from newsletter import staff
from newsletter.errors import Forbidden, Invalid
from newsletter.staff.models import StaffMember
from newsletter.staff.sessions import SESSION_LASTS
from newsletter.web import security
from newsletter.web.access import SESSION, Anyone, SignInNeeded, Viewer, signed_in
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

VISITOR: Final = "visitor"  # a random cookie that binds the form to the browser it was made for
BY_LINK: Final = "by-link"  # says for a while that the sign-in was by a one-time link
HOME: Final = "/studio"
SESSION_SECONDS: Final = int(SESSION_LASTS.total_seconds())
BY_LINK_SECONDS: Final = 15 * 60

routes = Pages()


@routes.shows("/")
def home(visit: Anyone) -> Response:
    """Send a person to the studio, which sends them to sign in first if need be."""
    return visit.redirect(HOME)


@routes.shows("/sign-in")
def sign_in_page(visit: Anyone) -> Response:
    """Show the form."""
    onward = security.local_path(visit.query.text("next"), HOME)
    try:
        signed_in(visit.request)
    except SignInNeeded:
        return _form(visit, "editor/sign_in.html", onward=onward, email="", mistake="")
    return RedirectResponse(onward, 303)


@routes.does("/sign-in")
def sign_in(visit: Anyone) -> Response:
    """Sign in with address and password."""
    visit = _from_form(visit)
    onward, email = security.local_path(visit.fields.text("next"), HOME), visit.fields.text("email")
    try:
        key = staff.sign_in(
            visit.site.database,
            email,
            visit.fields.get("password", ""),
            network=visit.network,
            secret=visit.site.settings.secret,
        )
    except Forbidden as error:
        return _form(visit, "editor/sign_in.html", status=403, onward=onward, email=email, mistake=error.message)
    with visit.writing() as session:
        staff.audit(session, actor=_member(staff.session_member(session, key)), action="signed in", subject="studio")
    return _with_session(visit, RedirectResponse(onward, 303), key)


@routes.shows("/sign-in/link/{key}")
def link_page(visit: Anyone, key: str) -> Response:
    """Show the button of a one-time link; whether it still works is seen when it is pressed."""
    return _form(visit, "editor/sign_in_link.html", link=key)


@routes.does("/sign-in/link/{key}")
def use_link(visit: Anyone, key: str) -> Response:
    """Use up a one-time link."""
    visit = _from_form(visit)
    with visit.writing() as session:
        member = staff.use_link(session, key)
        new = staff.start(session, member.id)
        staff.audit(session, actor=member, action="signed in by link", subject="studio")
    response = _with_session(visit, RedirectResponse(HOME, 303), new)
    visit.remember(response, BY_LINK, _by_link_mark(visit, new), seconds=BY_LINK_SECONDS)
    return response


@routes.does("/sign-out")
def sign_out(visit: Viewer) -> Response:
    """End this browser's session."""
    with visit.site.database.transaction() as session:
        staff.sign_out(session, visit.key)
    response = visit.redirect("/sign-in", said="You have signed out.")
    visit.forget(response, SESSION)
    return response


@routes.shows("/studio/account")
def account(visit: Viewer) -> Response:
    """Show who one is, and the form for a password."""
    return _account(visit)


@routes.does("/studio/account/password")
def set_password(visit: Viewer) -> Response:
    """Set one's own password; every other browser is signed out by that."""
    fields = visit.fields
    try:
        if _needs_current(visit):
            _check_current(visit, fields.get("current", ""))
        with visit.writing() as session:
            staff.set_password(session, visit.person.id, fields.get("password", ""))
            key = staff.start(session, visit.person.id)
            visit.audit(session, "set a password", f"staff:{visit.person.id}")
    except (Invalid, Forbidden) as error:
        return _account(visit, status=error.status, mistake=error.message)
    response = visit.redirect("/studio/account", said="The password is set. Other browsers have been signed out.")
    return _with_session(visit, response, key)


def _account(visit: Visit, *, status: int = 200, mistake: str = "") -> Response:
    return visit.page("editor/account.html", status=status, needs_current=_needs_current(visit), mistake=mistake)


def _needs_current(visit: Visit) -> bool:
    """Whoever came by link may have forgotten the password; whoever finds an open browser may not change it."""
    mark = visit.cookie(BY_LINK)
    fresh = hmac.compare_digest(mark.encode(), _by_link_mark(visit, visit.key).encode())
    return bool(visit.person.password_hash) and not fresh


def _check_current(visit: Visit, password: str) -> None:
    """Judge the present password like a sign-in, with the same limits."""
    secret = visit.site.settings.secret
    key = staff.sign_in(visit.site.database, visit.person.email, password, network=visit.network, secret=secret)
    with visit.site.database.transaction() as session:
        staff.sign_out(session, key)


def _by_link_mark(visit: Visit, key: str) -> str:
    return security.form_token(visit.site.settings.secret, f"by-link {key}")


def _form(visit: Visit, template: str, *, status: int = 200, **facts: str) -> Response:
    """Show a form to somebody who has no session yet, bound to the browser by a cookie."""
    key = visit.cookie(VISITOR) or secrets.token_urlsafe(16)
    response = replace(visit, key=key).page(template, status=status, **facts)
    visit.remember(response, VISITOR, key, seconds=SESSION_SECONDS)
    return response


def _from_form(visit: Visit) -> Visit:
    """Refuse a form that was made for another browser (T16: signing somebody in as somebody else)."""
    visit = replace(visit, key=visit.cookie(VISITOR))
    visit.insist_form_is_ours()
    return visit


def _with_session(visit: Visit, response: Response, key: str) -> Response:
    visit.remember(response, SESSION, key, seconds=SESSION_SECONDS)
    return response


def _member(member: StaffMember | None) -> StaffMember:
    if member is None:  # deactivated in this very moment
        raise SignInNeeded
    return member
