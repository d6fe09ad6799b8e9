"""`newsletter issue`: from the pool to an approved round-up.

Promise: `draft` gives the open draft or makes the next one; `render` writes
exactly the bytes that are sent; `preflight` fails when something blocks the
issue. Sending it is in `issue_send`.
"""

from __future__ import annotations

import enum
import sys
from email import message_from_bytes, policy
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from newsletter import delivery, editions, issues, publications, staff
from newsletter.cli import issue_send
from newsletter.cli.arguments import IssueId, MaybeSlug, Slug
from newsletter.cli.door import ACTOR, entered
from newsletter.cli.output import DEFAULT_LIMIT, After, Json, Limit, document, facts, line, page, say
from newsletter.errors import Forbidden
from newsletter.issues import IssueView
from newsletter.staff import Role, StaffMember

app = typer.Typer(no_args_is_help=True, help="Draft, check, approve and send issues.")
app.command("send")(issue_send.send)

BLOCK = "block"
STRANGER = "reader@example.org"  # gets what somebody gets of whom nothing is known


class Format(enum.StrEnum):
    """What of an issue to print."""

    HTML = "html"
    TEXT = "text"
    EML = "eml"


@app.command()
def draft(publication: Slug, *, as_json: Json = False) -> None:
    """Fill the open draft from the pool, or make the next issue."""
    with entered() as door, door.database.transaction() as session:
        view = issues.draft(session, publications.get(session, publication).id)
    if as_json:
        document(_summary(view))
    else:
        say(f"No. {view.number} is issue {view.id}: {view.story_count} stories, “{view.subject}”")


@app.command()
def show(issue: IssueId, *, as_json: Json = False) -> None:
    """Show an issue with its sections and stories."""
    with entered() as door, door.database.read() as session:
        view = issues.get(session, issue)
    if as_json:
        document({**_summary(view), "sections": view.sections})
        return
    facts({"issue": view.id, "number": view.number, "date": view.date, "state": view.state, "subject": view.subject})
    for section in view.sections:
        line(f"\n{section.name}")
        for placement in section.placements:
            mark = "*" if placement.lead else "-"
            line(f"  {mark} {placement.headline}  {placement.url}")


@app.command("list")
def listing(
    publication: MaybeSlug = None, *, after: After = None, limit: Limit = DEFAULT_LIMIT, as_json: Json = False
) -> None:
    """List issues, newest first."""
    with entered() as door, door.database.read() as session:
        chosen = publications.get(session, publication).id if publication else None
        found = issues.listing(session, chosen, after, limit)
    columns = {
        "issue": lambda row: row.id,
        "number": lambda row: row.number,
        "date": lambda row: row.date,
        "state": lambda row: row.state,
        "stories": lambda row: row.story_count,
        "subject": lambda row: row.subject,
    }
    page(found, columns, as_json=as_json, empty="no issue yet")


@app.command()
def preflight(issue: IssueId, *, as_json: Json = False) -> None:
    """Check everything that could be wrong with an issue; exit 1 if something blocks it."""
    with entered() as door, door.database.read() as session:
        findings = editions.preflight(session, issue, door.settings)
    for finding in findings:
        if as_json:
            document(finding)
        else:
            where = f" ({finding.where})" if finding.where else ""
            line(f"{finding.level:<5}  {finding.name}: {finding.reason}{where}")
    blocked = sum(finding.level == BLOCK for finding in findings)
    say(f"{blocked} of {len(findings)} findings block the issue" if findings else "nothing to complain about")
    if blocked:
        raise typer.Exit(1)


@app.command()
def render(
    issue: IssueId,
    *,
    form: Annotated[Format, typer.Option("--format", help="What to print; eml is the whole message.")],
    subscriber: Annotated[str, typer.Option(help="For this reader.")] = STRANGER,
) -> None:
    """Print an issue exactly as it is sent, to the byte."""
    with entered() as door, door.database.read() as session:
        message = delivery.render_for(session, door.settings, issue, subscriber)
    sys.stdout.buffer.write(message if form is Format.EML else _part(message, form))
    sys.stdout.buffer.flush()


@app.command()
def approve(
    issue: IssueId,
    *,
    editor: Annotated[str, typer.Option("--as", metavar="EMAIL", help="The editor who approves it.")] = "",
    as_json: Json = False,
) -> None:
    """Approve an issue as it stands."""
    with entered() as door, door.database.transaction() as session:
        actor = _editor(session, editor) if editor else ACTOR
        view = issues.approve(session, issue, by=actor if isinstance(actor, str) else actor.email)
        staff.audit(session, actor=actor, action="approved the issue", subject=f"issue:{issue}")
    _tell(view, f"No. {view.number} is approved", as_json=as_json)


@app.command()
def unapprove(issue: IssueId, *, as_json: Json = False) -> None:
    """Take an approval back; a schedule falls with it."""
    with entered() as door, door.database.transaction() as session:
        view = issues.unapprove(session, issue)
        staff.audit(session, actor=ACTOR, action="took the approval back", subject=f"issue:{issue}")
    _tell(view, f"No. {view.number} is a draft again", as_json=as_json)


def _part(message: bytes, form: Format) -> bytes:
    """Return one part of a message as a reader's program decodes it."""
    parsed = message_from_bytes(message, policy=policy.default)
    part = parsed.get_body(("html" if form is Format.HTML else "plain",))
    assert part is not None  # every message has both
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded


def _editor(session: Session, email: str) -> StaffMember:
    member = staff.by_email(session, email)
    if not staff.may(member.role, Role.EDITOR):
        raise Forbidden(f"{member.email} is a {member.role}; an editor approves issues.")
    return member


def _tell(view: IssueView, words: str, *, as_json: bool) -> None:
    if as_json:
        document(_summary(view))
    else:
        say(words)


def _summary(view: IssueView) -> dict[str, object]:
    names = ("number", "date", "title", "subject", "state", "version", "approved_by", "approved_at", "story_count")
    return {"issue": view.id, **{name: getattr(view, name) for name in names}}
