"""`newsletter report`: what became of an issue.

Promise: prints what the studio's page shows, from the same function; it counts
and changes nothing.
"""

from __future__ import annotations

import typer

from newsletter import reports
from newsletter.cli.arguments import IssueId
from newsletter.cli.door import entered
from newsletter.cli.output import Json, document, facts, line, table

app = typer.Typer()


@app.command()
def report(issue: IssueId, *, as_json: Json = False) -> None:
    """Show audience, states, bounces, opens, clicks by story, and who left."""
    with entered() as door, door.database.read() as session:
        found = reports.issue_report(session, issue)
    account = found.as_json()
    if as_json:
        document(account)
        return
    facts({name: value for name, value in account.items() if not isinstance(value, dict | list)})
    for name, value in account.items():
        if not value or not isinstance(value, dict | list):
            continue
        line(f"\n{name.replace('_', ' ')}")
        if isinstance(value, dict):
            facts(value)
        elif isinstance(value[0], dict):
            table(list(value[0]), [list(row.values()) for row in value])
        else:
            line(", ".join(map(str, value)))
