"""For developers: writes the next revision from what the models say now.

    python -m newsletter.migrations.revise "subscribers get a language"

Promise: it compares the models with a database that has every revision so far (a
temporary SQLite file), writes ``versions/<next number>_<words>.py`` and prints its
name; it touches no database of yours. Read what it wrote: renamed columns, data
and PostgreSQL's own options are yours to add.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import Script

from newsletter.db import Database
from newsletter.migrations.upgrading import configuration, head, upgrade


def main(message: str) -> None:
    """Write the revision called ``message``."""
    number = f"{int(head() or 0) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'revise.db'}")
        if head():
            upgrade(database)
        config = configuration()
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["render_as_batch"] = bool(head())
        with database.engine.connect() as connection:
            config.attributes["connection"] = connection
            written = command.revision(config, message, autogenerate=True, rev_id=number)
        database.dispose()
    assert isinstance(written, Script)
    path = Path(written.path)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "# ###" not in line))


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one message
        sys.exit(__doc__)
    main(sys.argv[1])
