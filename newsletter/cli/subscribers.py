"""`newsletter subscribers`: bringing readers in, taking them out, looking one up.

Promise: `import` accounts for every row and stops for none; `export` streams;
`erase` forgets a person and keeps a suppression by hash; `suppress` keeps an
address from ever being mailed until it is released. Nothing here sends mail.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from newsletter import audience, notices, publications, staff
from newsletter.audience import ImportReport, SubscriberView, SubscriptionStatus, SuppressionReason
from newsletter.cli.arguments import Address, Slug
from newsletter.cli.door import ACTOR, entered
from newsletter.cli.output import DEFAULT_LIMIT, After, Json, Limit, document, facts, line, page, progress, say
from newsletter.errors import Invalid

STANDARD_INPUT = "-"
BAD_ROWS_SHOWN = 20

app = typer.Typer(no_args_is_help=True, help="Import, export, show, erase and suppress readers.")


class Format(enum.StrEnum):
    """The program that wrote a file of readers."""

    AUTO = "auto"
    CSV = "csv"
    LISTMONK = "listmonk"
    MAILCHIMP = "mailchimp"
    GHOST = "ghost"
    BUTTONDOWN = "buttondown"


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file, or - for standard input.")],
    *,
    publication: Annotated[str, typer.Option(help="Short name of the publication they join.")],
    format_: Annotated[Format, typer.Option("--format", help="The program that wrote the file.")] = Format.AUTO,
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="They have agreed already; needs --consent-source.")
    ] = False,
    consent_source: Annotated[str, typer.Option(help="Where they agreed, in words for whoever asks later.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would happen and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring readers in from a CSV file: a header row, a column `email`."""
    with entered() as door, _opened(file) as rows, progress("reading") as tell:
        with door.database.read() as session:
            publication_id = publications.get(session, publication).id
        report = audience.import_csv(
            door.database,
            door.settings.secret,
            rows,
            publication_id=publication_id,
            confirmed=confirmed,
            consent_source=consent_source,
            file_format=format_,
            dry_run=dry_run,
            progress=tell,
        )
    if as_json:
        document(report.as_json())
    else:
        _tell(report)


@app.command()
def export(publication: Slug, *, as_json: Json = False) -> None:
    """Print a publication's readers as CSV, or as JSON lines."""
    with entered() as door, door.database.read() as session:
        publication_id = publications.get(session, publication).id
        if as_json:
            for row in audience.export(session, publication_id):
                document(row)
        else:
            sys.stdout.reconfigure(newline="")  # type: ignore[union-attr]  # the lines bring their own CRLF
            sys.stdout.writelines(audience.export_csv(session, publication_id))


@app.command()
def show(address: Address, *, as_json: Json = False) -> None:
    """Show everything that is known of one reader."""
    with entered() as door, door.database.read() as session:
        view = audience.show(session, address)
        slugs = {one.id: one.slug for one in publications.listing(session)}
    if as_json:
        document(_account(view, slugs))
    else:
        _show(view, slugs)


@app.command("list")
def listing(
    publication: Slug,
    *,
    search: Annotated[str, typer.Option(help="Only addresses that contain this.")] = "",
    status: Annotated[SubscriptionStatus | None, typer.Option(help="Only readers with this status.")] = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
    as_json: Json = False,
) -> None:
    """List a publication's readers."""
    with entered() as door, door.database.read() as session:
        publication_id = publications.get(session, publication).id
        found = audience.search(session, publication_id, search, status=status, after=after or 0, limit=limit)
    columns = {
        "subscriber": lambda row: row.subscriber_id,
        "email": lambda row: row.email,
        "name": lambda row: f"{row.first_name} {row.last_name}".strip(),
        "status": lambda row: row.status,
        "since": lambda row: row.created_at,
    }
    page(found, columns, as_json=as_json, empty="no reader yet")


@app.command()
def erase(address: Address, *, as_json: Json = False) -> None:
    """Forget a reader for ever; the address is kept, as a hash, from coming back by import."""
    with entered() as door, door.database.transaction() as session:
        known = audience.erase(session, door.settings.secret, address, evidence=ACTOR)
        notices.forget(session, address)
        staff.audit(session, actor=ACTOR, action="erased a reader", subject="subscriber")
    if as_json:
        document({"erased": known})
    else:
        say("erased" if known else "was erased before")


@app.command()
def suppress(
    address: Address,
    *,
    publication: Annotated[str, typer.Option(help="Only for this publication; without it, for all.")] = "",
    reason: Annotated[str, typer.Option(help="Why, in words for whoever asks later.")] = "",
    as_json: Json = False,
) -> None:
    """Keep an address from being mailed."""
    with entered() as door, door.database.transaction() as session:
        suppressed = audience.suppress(
            session,
            door.settings.secret,
            address=address,
            reason=SuppressionReason.MANUAL,
            publication_id=publications.get(session, publication).id if publication else None,
            evidence=reason or ACTOR,
        )
        staff.audit(session, actor=ACTOR, action="suppressed an address", subject="subscriber", detail={"why": reason})
    if as_json:
        document(suppressed)
    else:
        say(f"{address} is not mailed any more, {'by ' + publication if publication else 'by any publication'}")


@app.command()
def release(address: Address, *, as_json: Json = False) -> None:
    """Let a suppressed address be mailed again."""
    with entered() as door, door.database.transaction() as session:
        released = audience.release(session, door.settings.secret, address=address, evidence=ACTOR)
        staff.audit(session, actor=ACTOR, action="released an address", subject="subscriber")
    if as_json:
        document({"released": released})
    else:
        say(f"released {released} suppressions of {address}")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        opened = Path(file).open("rb")  # noqa: SIM115 - closed below, apart from errors while it is used
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.", field="file") from error
    with opened:
        yield opened


def _tell(report: ImportReport) -> None:
    facts(
        {
            "rows": report.rows,
            "added": report.added,
            "of these waiting for confirmation": report.pending,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "kept out (left, bounced, complained, suppressed)": report.kept_out,
            "repeated in the file": report.repeated,
            "bad": report.bad_count,
        }
    )
    for row in report.bad[:BAD_ROWS_SHOWN]:
        say(f"row {row.number}: {row.reason}")
    if report.bad_count > BAD_ROWS_SHOWN:
        say(f"and {report.bad_count - BAD_ROWS_SHOWN} more; --json names up to {len(report.bad)}")
    if report.dry_run:
        say("nothing was changed (dry run)")


def _account(view: SubscriberView, slugs: dict[int, str]) -> dict[str, object]:
    known = {field.name: getattr(view, field.name) for field in fields(view)}
    memberships = known.pop("memberships")
    subscriptions = [{"publication": slugs[one.publication_id], **asdict(one)} for one in memberships]
    return {**known, "subscriptions": subscriptions}


def _show(view: SubscriberView, slugs: dict[int, str]) -> None:
    name = f"{view.first_name} {view.last_name}".strip()
    facts({"subscriber": view.subscriber_id, "email": view.email, "name": name, "since": view.created_at})
    for membership in view.memberships:
        line(f"\n{slugs[membership.publication_id]}: {membership.status} (by {membership.source})")
        for change in membership.history:
            line(f"  {change.at:%Y-%m-%d %H:%M} {change.after}: {change.evidence}")
    for one in view.suppressions:
        scope = slugs[one.publication_id] if one.publication_id else "every publication"
        until = f", released {one.released_at:%Y-%m-%d}" if one.released_at else ""
        line(f"\nsuppressed for {scope} since {one.created_at:%Y-%m-%d} ({one.reason}): {one.evidence}{until}")
