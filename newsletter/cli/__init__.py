"""The door for operators: the ``newsletter`` command."""

from newsletter.cli.root import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit with 0 (done), 1 (refused or failed) or 2 (wrong usage)."""
    app(prog_name="newsletter")
