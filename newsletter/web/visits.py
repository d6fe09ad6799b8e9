"""One request as a handler sees it: who calls, what the form carried, and the ways to answer.

Promise: ``reading`` can change nothing, since its transaction is rolled back;
``writing`` is one transaction that is committed when its block ends. Handlers
of GET use only ``reading``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from newsletter import staff
from newsletter.errors import Forbidden
from newsletter.staff.models import Role, StaffMember
from newsletter.web import pages, security
from newsletter.web.forms import Fields, read_query
from newsletter.web.site import Site

SAID: Final = "said"  # the cookie that carries one sentence over a redirect
MAX_SAID: Final = 300
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a form field


def network_of(host: str) -> str:
    """Return the network that an address shares with its neighbours; other names stand for themselves."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return host
    return str(ipaddress.ip_network(f"{host}/{24 if version == 4 else 64}", strict=False))  # noqa: PLR2004 - IPv4


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, its form, and the person who is signed in, if any."""

    site: Site
    request: Request
    fields: Fields = field(default_factory=Fields)
    member: StaffMember | None = None
    key: str = ""  # what form tokens are bound to: the session's key, or the visitor's cookie at sign-in

    @property
    def person(self) -> StaffMember:
        """The person who is signed in; only for handlers that declare a role."""
        assert self.member is not None
        return self.member

    @property
    def query(self) -> Fields:
        """What stands behind the question mark."""
        return read_query(self.request)

    @property
    def host(self) -> str:
        """The caller's network address, as far as the server knows it."""
        return self.request.client.host if self.request.client else ""

    @property
    def network(self) -> str:
        """The network the caller is in, which is what limits count: a /24, or a /64 of IPv6."""
        return network_of(self.host)

    @property
    def form_token(self) -> str:
        """The token that this visitor's forms carry."""
        return security.form_token(self.site.settings.secret, self.key)

    def insist_form_is_ours(self) -> None:
        """Raise ``Forbidden`` for a form that another site sent, or that was made for another session."""
        sent, base_url = self.fields.get(FORM_TOKEN, ""), self.site.settings.base_url
        if not security.is_ours(self.request, base_url=base_url, token=sent, expected=self.form_token):
            raise Forbidden("This form was not sent from a page of yours; go back, reload the page and try again.")

    def may(self, role: Role) -> bool:
        """Tell whether the signed-in person has ``role`` or a higher one."""
        return self.member is not None and staff.may(self.member.role, role)

    def reading(self) -> AbstractContextManager[Session]:
        """Open a transaction that is rolled back at its end."""
        return self.site.database.read()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is committed at its end; whoever writes stays signed in."""
        with self.site.database.transaction() as session:
            if self.member is not None:
                staff.keep_alive(session, self.key)
            yield session

    def audit(self, session: Session, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
        """Write to the audit trail that this person did it, in the transaction that does it."""
        staff.audit(session, actor=self.person, action=action, subject=subject, detail=dict(detail or {}))

    def page(self, template: str, *, status: int = 200, **facts: Any) -> HTMLResponse:  # noqa: ANN401 - facts are what the template names
        """Answer with a page of templates/web/."""
        said = unquote(self.cookie(SAID))[:MAX_SAID]
        body = pages.render(self.site, template, visit=self, said=said, **facts)
        response = HTMLResponse(body, status)
        if said:
            self.forget(response, SAID)
        return response

    def redirect(self, path: str, *, said: str = "") -> Response:
        """Answer a form with "see other", and with one sentence for the next page."""
        response = RedirectResponse(path, 303)
        if said:
            self.remember(response, SAID, quote(said[:MAX_SAID]), seconds=60)
        return response

    def cookie(self, name: str) -> str:
        """Return one of our cookies, or an empty text."""
        return self.request.cookies.get(self._name(name), "")

    def remember(self, response: Response, name: str, value: str, *, seconds: int) -> None:
        """Set a cookie that scripts cannot read and other sites' forms do not carry."""
        response.set_cookie(
            self._name(name),
            value,
            max_age=seconds,
            path="/",
            secure=self.site.secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response, name: str) -> None:
        """Remove a cookie."""
        response.delete_cookie(self._name(name), path="/", secure=self.site.secure, httponly=True, samesite="lax")

    def _name(self, name: str) -> str:
        return security.cookie_name(name, secure=self.site.secure)
