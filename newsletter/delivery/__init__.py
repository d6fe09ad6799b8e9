"""EDITION x AUDIENCE -> DELIVERY: the ledger that never loses and never doubles, and the sender that fills it."""

from newsletter.delivery.changes import Patience
from newsletter.delivery.control import cancel, pause, resume, retry
from newsletter.delivery.evidence import settle, settle_by_log
from newsletter.delivery.models import DeliveryState, SendState
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
    "Options",
    "Patience",
    "RecipientRow",
    "RunSummary",
    "SendState",
    "SendStatus",
    "SenderRow",
    "begin_due",
    "cancel",
    "first_mails",
    "pause",
    "recipient_of",
    "recipients",
    "recover",
    "render_for",
    "resume",
    "retry",
    "run",
    "senders",
    "sends_of",
    "settle",
    "settle_by_log",
    "start",
    "status",
]
