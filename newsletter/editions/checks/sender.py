"""Checks of who sends: the postal address that the law wants, and a server that readers can reach."""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.editions.checks.finding import Case, Finding, block, warn
from newsletter.editions.checks.stories import is_local


def postal_address(case: Case) -> Iterator[Finding]:
    """The publication has a postal address (15 U.S.C. 7704(a)(5)(A)(iii))."""
    if not case.publication.postal_address.strip():
        reason = "The publication has no postal address; the law wants one in every issue."
        yield block("postal address missing", reason, "publication")


def server(case: Case) -> Iterator[Finding]:
    """Readers can reach the unsubscribe page, and over https, as RFC 8058 demands of one-click."""
    if is_local(case.base_url):
        reason = f"The server's address is {case.base_url}; only this machine or network can open the mail's links."
        yield warn("server is local", reason, "settings")
    elif not case.base_url.startswith("https://"):
        reason = "The server's address is not https; mailbox providers then ignore one-click unsubscribe (RFC 8058)."
        yield warn("server without https", reason, "settings")
