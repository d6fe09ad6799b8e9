"""The buttons and forms of the draft: words, stories, sections.

Promise: each is one transaction and one line in the trail; afterwards the browser
is back at the story it acted on. Forms of words keep what was typed when they
are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter import issues
from newsletter.errors import Conflict, Invalid
from newsletter.web import security
from newsletter.web.access import Writer
from newsletter.web.editor import composer
from newsletter.web.routing import Pages
from newsletter.web.visits import Visit

ISSUE: Final = "/studio/issues/{issue_id:int}"
STORY: Final = ISSUE + "/stories/{placement_id:int}"
SECTION: Final = ISSUE + "/sections/{section_id:int}"
PLACE: Final = re.compile(r"([0-9]{1,15}):([0-9]{0,6})")

routes = Pages()


@routes.does(ISSUE + "/words")
def save_words(visit: Writer, issue_id: int) -> Response:
    """Save subject, preheader, title and note."""
    fields = visit.fields

    def save(session: Session) -> None:
        issues.edit(
            session,
            issue_id,
            version=fields.whole("version"),
            title=fields.text("title"),
            subject=fields.text("subject"),
            preheader=fields.text("preheader"),
            note=fields.text("note"),
        )

    return _save(visit, issue_id, "words", "edited the words", save)


@routes.does(STORY + "/edit")
def save_story(visit: Writer, issue_id: int, placement_id: int) -> Response:
    """Save the words of one story."""
    fields = visit.fields

    def save(session: Session) -> None:
        issues.edit_placement(
            session,
            issue_id,
            placement_id,
            version=fields.whole("version"),
            headline=fields.text("headline"),
            dek=fields.text("dek"),
            image_alt=fields.text("image_alt"),
            show_image=fields.flag("show_image"),
        )

    return _save(visit, issue_id, f"story-{placement_id}", "edited a story", save)


@routes.does(ISSUE + "/stories")
def place(visit: Writer, issue_id: int) -> Response:
    """Take a story into the issue."""
    article_id, section_id = visit.fields.whole("article_id"), visit.fields.whole("section_id")
    return _do(
        visit, issue_id, "placed a story", lambda session: issues.place(session, issue_id, article_id, section_id)
    )


@routes.does(STORY + "/move")
def move(visit: Writer, issue_id: int, placement_id: int) -> Response:
    """Move a story: ``to`` is a section and, after a colon, a position (none: the end)."""
    target = PLACE.fullmatch(visit.fields.text("to"))
    if target is None:
        raise Invalid("Choose where the story goes.", field="to")
    section_id, position = int(target[1]), int(target[2]) if target[2] else None

    def move_it(session: Session) -> None:
        issues.move(session, issue_id, placement_id, section_id=section_id, position=position)

    return _do(visit, issue_id, "moved a story", move_it, f"story-{placement_id}")


@routes.does(STORY + "/lead")
def lead(visit: Writer, issue_id: int, placement_id: int) -> Response:
    """Make a story the lead."""
    return _do(
        visit,
        issue_id,
        "chose the lead",
        lambda session: issues.make_lead(session, issue_id, placement_id),
        f"story-{placement_id}",
    )


@routes.does(STORY + "/remove")
def remove(visit: Writer, issue_id: int, placement_id: int) -> Response:
    """Take a story out, for good or for the next issue."""
    later = visit.fields.flag("later")
    return _do(
        visit,
        issue_id,
        "kept a story for the next issue" if later else "took a story out",
        lambda session: issues.remove(session, issue_id, placement_id, keep_for_next=later),
    )


@routes.does(ISSUE + "/sections")
def add_section(visit: Writer, issue_id: int) -> Response:
    """Add a section at the end."""
    name = visit.fields.text("name")
    return _do(visit, issue_id, "added a section", lambda session: issues.add_section(session, issue_id, name))


@routes.does(SECTION + "/rename")
def rename_section(visit: Writer, issue_id: int, section_id: int) -> Response:
    """Give a section another name."""
    name = visit.fields.text("name")
    return _do(
        visit,
        issue_id,
        "renamed a section",
        lambda session: issues.rename_section(session, issue_id, section_id, name),
        f"section-{section_id}",
    )


@routes.does(SECTION + "/move")
def move_section(visit: Writer, issue_id: int, section_id: int) -> Response:
    """Move a section with its stories."""
    position = visit.fields.whole("position")
    return _do(
        visit,
        issue_id,
        "moved a section",
        lambda session: issues.move_section(session, issue_id, section_id, position),
        f"section-{section_id}",
    )


@routes.does(SECTION + "/remove")
def remove_section(visit: Writer, issue_id: int, section_id: int) -> Response:
    """Remove an empty section."""
    return _do(
        visit, issue_id, "removed a section", lambda session: issues.remove_section(session, issue_id, section_id)
    )


def _do(visit: Visit, issue_id: int, action: str, change: Callable[[Session], object], anchor: str = "") -> Response:
    with visit.writing() as session:
        change(session)
        visit.audit(session, action, f"issue:{issue_id}")
    here = f"/studio/issues/{issue_id}" + (f"#{anchor}" if anchor else "")
    return visit.redirect(security.local_path(visit.fields.text("back"), here))


def _save(visit: Visit, issue_id: int, form: str, action: str, change: Callable[[Session], object]) -> Response:
    try:
        return _do(visit, issue_id, action, change, form)
    except (Conflict, Invalid) as error:
        return composer.show(visit, issue_id, status=error.status, kept=composer.unsaved(form, visit.fields, error))
