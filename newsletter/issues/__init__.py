"""The dated round-up: drafting itself from the pool, editing, approving, and where it stands."""

from newsletter.issues.approval import approve, unapprove
from newsletter.issues.arranging import (
    add_section,
    make_lead,
    move,
    move_section,
    place,
    remove,
    remove_section,
    rename_section,
)
from newsletter.issues.drafting import draft, waiting
from newsletter.issues.editing import Stale, edit, edit_placement
from newsletter.issues.models import IssueState
from newsletter.issues.queries import articles_used, get, listing, why_not
from newsletter.issues.states import transition
from newsletter.issues.views import IssueRow, IssueView, PlacementView, SectionView, content_hash

__all__ = [
    "IssueRow",
    "IssueState",
    "IssueView",
    "PlacementView",
    "SectionView",
    "Stale",
    "add_section",
    "approve",
    "articles_used",
    "content_hash",
    "draft",
    "edit",
    "edit_placement",
    "get",
    "listing",
    "make_lead",
    "move",
    "move_section",
    "place",
    "remove",
    "remove_section",
    "rename_section",
    "transition",
    "unapprove",
    "waiting",
    "why_not",
]
