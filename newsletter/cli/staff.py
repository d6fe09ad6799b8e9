"""`newsletter staff`: the people of the studio.

Promise: a person is made, or let in again, by a one-time link that is printed
once and works for 24 hours; no password passes through the command line.
"""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter import staff
from newsletter.cli.door import ACTOR, Door, entered
from newsletter.cli.output import Json, document, line, say, table
from newsletter.staff import Role, StaffMember

LINK = "/sign-in/link/"

app = typer.Typer(no_args_is_help=True, help="Add people to the studio.")

Email = Annotated[str, typer.Argument(help="The person's address.")]


@app.command()
def create(
    email: Email,
    *,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    as_json: Json = False,
) -> None:
    """Add a person and print the one-time link that lets them in."""
    with entered() as door, door.database.transaction() as session:
        member = staff.create(session, email=email, role=role, name=name)
        staff.audit(session, actor=ACTOR, action=f"added as {role}", subject=f"staff:{member.id}")
        key = staff.login_link(session, member.id)
    _show(door, member, key, as_json=as_json)


@app.command()
def link(email: Email, *, as_json: Json = False) -> None:
    """Print another one-time link, for somebody who cannot sign in."""
    with entered() as door, door.database.transaction() as session:
        member = staff.by_email(session, email)
        staff.audit(session, actor=ACTOR, action="gave a sign-in link", subject=f"staff:{member.id}")
        key = staff.login_link(session, member.id)
    _show(door, member, key, as_json=as_json)


@app.command("list")
def listing(*, as_json: Json = False) -> None:
    """List the people of the studio."""
    with entered() as door, door.database.read() as session:
        found = staff.listing(session)
    if as_json:
        for one in found:
            document({"email": one.email, "name": one.name, "role": one.role, "active": one.active})
        return
    table(["email", "name", "role", "active"], [(one.email, one.name, one.role, one.active) for one in found])


def _show(door: Door, member: StaffMember, key: str, *, as_json: bool) -> None:
    address = f"{door.settings.base_url}{LINK}{key}"
    if as_json:
        document({"email": member.email, "role": member.role, "link": address})
    else:
        say(f"give {member.email} this link; it works once, within 24 hours:")
        line(address)
