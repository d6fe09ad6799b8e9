"""What several commands take: ids, slugs and addresses, and how an instant is written.

Promise: the same thing is called the same, and explained the same, everywhere.
"""

from __future__ import annotations

from typing import Annotated

import typer

IssueId = Annotated[int, typer.Argument(metavar="ISSUE", min=1, help="Number printed by: newsletter issue draft.")]
SendId = Annotated[int, typer.Argument(metavar="SEND", min=1, help="Number printed by: newsletter issue send.")]
Slug = Annotated[str, typer.Argument(metavar="PUBLICATION", help="Short name of the publication.")]
MaybeSlug = Annotated[str | None, typer.Argument(metavar="[PUBLICATION]", help="Short name of the publication.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Email address.")]
