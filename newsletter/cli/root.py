"""The command tree, loaded a branch at a time, and how every command fails.

Promise: a command imports only its own branch, so that `newsletter send status`
does not pay for the web server. A ``NewsletterError`` or an unreachable database
becomes one line on standard error and exit code 1, never a traceback; wrong usage
is exit code 2. Anything else that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from newsletter.cli.output import say
from newsletter.errors import NewsletterError

# Name: module with the Typer ``app`` of that branch. The order is that of the help page.
BRANCHES: Final = {
    "demo": "newsletter.cli.demo.play",
    "run": "newsletter.cli.run",
    "doctor": "newsletter.cli.doctor",
    "publication": "newsletter.cli.publication",
    "source": "newsletter.cli.source",
    "collect": "newsletter.cli.collect",
    "issue": "newsletter.cli.issue",
    "send": "newsletter.cli.send",
    "pace": "newsletter.cli.pace",
    "subscribers": "newsletter.cli.subscribers",
    "bounce": "newsletter.cli.bounce",
    "report": "newsletter.cli.report",
    "staff": "newsletter.cli.staff",
    "migrate": "newsletter.cli.migrate",
    "web": "newsletter.cli.web",
    "worker": "newsletter.cli.worker",
    "beat": "newsletter.cli.beat",
    "bench": "newsletter.cli.bench",
}


class Branches(Mapping[str, Any]):
    """The commands by name, each imported when it is first asked for."""

    def __iter__(self) -> Iterator[str]:
        return iter(BRANCHES)

    def __len__(self) -> int:
        return len(BRANCHES)

    def __contains__(self, name: object) -> bool:
        return name in BRANCHES

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a class that Typer keeps to itself
        command = typer.main.get_command(import_module(BRANCHES[name]).app)
        command.name = name
        return command


class Root(TyperGroup):
    """Holds the branches, and translates errors at the door."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**attributes)
        self.commands = Branches()  # type: ignore[assignment]  # nobody adds to it

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's hook
        """Run the command; turn what a person can mend into one line."""
        try:
            return super().invoke(ctx)
        except NewsletterError as error:
            say(f"error: {error.message}")
        except OperationalError as error:
            say(f"error: the database cannot be used: {str(error.orig).strip().splitlines()[0]}")
        raise typer.Exit(1)


app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Email newsletters for newsrooms. Start with: newsletter demo",
)


@app.callback()
def newsletter() -> None:
    """Stand in for the options that all commands share: there are none, settings come from the environment."""
