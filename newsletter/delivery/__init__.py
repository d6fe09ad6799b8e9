"""EDITION x AUDIENCE -> DELIVERY: the ledger that never loses and never doubles, and the sender that fills it."""

from newsletter.delivery.changes import Patience
from newsletter.delivery.control import cancel, pause, resume, retry
from newsletter.delivery.evidence import settle, settle_by_log
from newsletter.delivery.models import DeliveryState, PaceState, SendState
from newsletter.delivery.pace.estimate import LaneStatus
from newsletter.delivery.pace.limits import PaceRow
from newsletter.delivery.pace.mailboxes import look_up_domains
from newsletter.delivery.pace.paces import every_pace, resume_pace, set_pace
from newsletter.delivery.pace.providers import Provider
from newsletter.delivery.plan import begin_due, start
from newsletter.delivery.queries import (
    RecipientRow,
    SenderRow,
    SendStatus,
    recipient_of,
    recipients,
    senders,
    sends_of,
    status,
)
from newsletter.delivery.recover import recover
from newsletter.delivery.render import first_mails, render_for
from newsletter.delivery.run import RunSummary, run
from newsletter.delivery.send import Options

__all__ = [
    "DeliveryState",
    "LaneStatus",
    "Options",
    "PaceRow",
    "PaceState",
    "Patience",
    "Provider",
    "RecipientRow",
    "RunSummary",
    "SendState",
    "SendStatus",
    "SenderRow",
    "begin_due",
    "cancel",
    "every_pace",
    "first_mails",
    "look_up_domains",
    "pause",
    "recipient_of",
    "recipients",
    "recover",
    "render_for",
    "resume",
    "resume_pace",
    "retry",
    "run",
    "senders",
    "sends_of",
    "set_pace",
    "settle",
    "settle_by_log",
    "start",
    "status",
]
