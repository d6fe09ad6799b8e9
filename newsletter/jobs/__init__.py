"""The door for time: Celery application, worker, beat, and the hints that wake them.

Only the sender of hints is at hand here; who runs a worker imports ``jobs.app``,
which imports every room that works in the background.
"""

from newsletter.jobs.wake import Waker

__all__ = ["Waker"]
