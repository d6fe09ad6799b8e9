"""Readers: who they are, what they joined, the proof that they asked, and who must not be mailed."""

from newsletter.audience.eligibility import eligible, ineligible
from newsletter.audience.export import ExportRow, export, export_csv
from newsletter.audience.importing import BadRow, ImportReport, import_csv
from newsletter.audience.leaving import PAUSES, Left, leave, pause, resume
from newsletter.audience.links import ConfirmLink, Links, Reader
from newsletter.audience.models import (
    ConsentKind,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.audience.preferences import Choice, Preferences, preferences, set_preferences
from newsletter.audience.privacy import PersonalData, erase, personal_data
from newsletter.audience.queries import (
    Counts,
    GrowthRow,
    MembershipView,
    SubscriberRow,
    SubscriberView,
    by_id,
    counts,
    growth,
    search,
    show,
)
from newsletter.audience.signup import Asked, Awaiting, Confirmed, Limits, Outcome, ask, awaiting, confirm
from newsletter.audience.suppression import (
    Suppressed,
    mark_bounced,
    mark_complained,
    release,
    suppress,
    suppressions,
    unmark,
)

__all__ = [
    "PAUSES",
    "Asked",
    "Awaiting",
    "BadRow",
    "Choice",
    "ConfirmLink",
    "Confirmed",
    "ConsentKind",
    "Counts",
    "ExportRow",
    "GrowthRow",
    "ImportReport",
    "Left",
    "Limits",
    "Links",
    "MembershipView",
    "Outcome",
    "PersonalData",
    "Preferences",
    "Reader",
    "Subscriber",
    "SubscriberRow",
    "SubscriberView",
    "Subscription",
    "SubscriptionStatus",
    "Suppressed",
    "SuppressionReason",
    "ask",
    "awaiting",
    "by_id",
    "confirm",
    "counts",
    "eligible",
    "erase",
    "export",
    "export_csv",
    "growth",
    "import_csv",
    "ineligible",
    "leave",
    "mark_bounced",
    "mark_complained",
    "pause",
    "personal_data",
    "preferences",
    "release",
    "resume",
    "search",
    "set_preferences",
    "show",
    "suppress",
    "suppressions",
    "unmark",
]
