"""The Celery tasks: each tells this process's work what to look at.

Promise: a task takes an id or nothing, may be run any number of times, in any
order, anywhere, and returns nothing. What is true lies in the rows that the job
reads, never in the message.
"""

from __future__ import annotations

from celery import Celery

from newsletter.jobs.work import Work


def register(app: Celery, work: Work) -> None:
    """Give ``app`` the five tasks."""

    @app.task(name="deliver")
    def deliver(_send_id: int = 0) -> None:
        """Claim and send until nothing is due; one runner per process."""
        work.deliver()

    @app.task(name="collect")
    def collect(source_id: int = 0) -> None:
        """Read one source now, or all that are due."""
        work.run("collect", source_id)

    @app.task(name="notices")
    def notices(_ident: int = 0) -> None:
        """Send the notices that wait."""
        work.run("notices")

    @app.task(name="absorb")
    def absorb(send_id: int = 0) -> None:
        """Turn refused deliveries into bounces."""
        work.run("absorb", send_id)

    @app.task(name="tick")
    def tick() -> None:
        """Look for every kind of due work."""
        work.run("tick")
