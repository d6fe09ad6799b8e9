"""What comes back about deliveries: bounces, complaints, answers, opens, clicks, leavers; and what follows from it."""

from newsletter.events.absorb import absorb_refusals
from newsletter.events.bounces import explain
from newsletter.events.explanation import Explanation, Kind, Report
from newsletter.events.intake import Taken, take
from newsletter.events.lmtp import BounceIntake, serve_lmtp
from newsletter.events.models import BounceClass, EventKind, Outcome, Verdict
from newsletter.events.record import unsubscribed
from newsletter.events.tracking import Recorder, Targets, open_token
from newsletter.events.verdicts import Asked
from newsletter.events.verp import DeliveryKey

__all__ = [
    "Asked",
    "BounceClass",
    "BounceIntake",
    "DeliveryKey",
    "EventKind",
    "Explanation",
    "Kind",
    "Outcome",
    "Recorder",
    "Report",
    "Taken",
    "Targets",
    "Verdict",
    "absorb_refusals",
    "explain",
    "open_token",
    "serve_lmtp",
    "take",
    "unsubscribed",
]
