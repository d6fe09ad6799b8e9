"""Mail to one person about one thing: confirmations, greetings, links for the staff, alarms to the desk."""

from newsletter.notices.alarms import Alarm, due_alarms, raise_alarms
from newsletter.notices.models import Notice, NoticeState
from newsletter.notices.outbox import answer_sign_up, forget, queue, staff_link, welcome
from newsletter.notices.queries import Backlog, backlog
from newsletter.notices.sending import send_due

__all__ = [
    "Alarm",
    "Backlog",
    "Notice",
    "NoticeState",
    "answer_sign_up",
    "backlog",
    "due_alarms",
    "forget",
    "queue",
    "raise_alarms",
    "send_due",
    "staff_link",
    "welcome",
]
