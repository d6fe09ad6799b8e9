"""A newsletter title readers join: brand, sender identity, time zone, blueprint of sections."""

from newsletter.publications.brand import Brand
from newsletter.publications.changes import create, take_number
from newsletter.publications.changes import update_fields as update
from newsletter.publications.models import BlueprintSection, DeadlineRule, Publication, UncertainPolicy
from newsletter.publications.queries import blueprint, by_id, get, listing
from newsletter.publications.sectioning import SectionRule, set_blueprint

__all__ = [
    "BlueprintSection",
    "Brand",
    "DeadlineRule",
    "Publication",
    "SectionRule",
    "UncertainPolicy",
    "blueprint",
    "by_id",
    "create",
    "get",
    "listing",
    "set_blueprint",
    "take_number",
    "update",
]
