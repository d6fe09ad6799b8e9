"""Times the steps that make an edition of 20 stories, and how fast its messages are filled.

    python bench/editions.py [STORIES]

Each step is run alone, several times, and its median printed. ``fill`` encodes the
value of every slot and joins, as for one reader; ``join`` joins encoded values.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import editions as make

from newsletter.editions import Identity, compose
from newsletter.editions.inline import inlined
from newsletter.editions.letters import Letter, page
from newsletter.editions.links import MailLinks, OwnAddresses
from newsletter.editions.linter import faults
from newsletter.editions.marks import Marks
from newsletter.editions.medium import Medium
from newsletter.editions.mime import assembled
from newsletter.editions.sheet import laid_out

RUNS = 15
MESSAGES = 20_000


def median_ms(step: Callable[[], object]) -> float:
    """Return the median of ``RUNS`` runs in milliseconds."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def per_second(step: Callable[[], object]) -> float:
    """Return how often a step runs in a second of processor time."""
    start = time.process_time()
    for _ in range(MESSAGES):
        step()
    return MESSAGES / (time.process_time() - start)


def main() -> None:
    """Print the figures."""
    stories = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    issue, publication = make.stories(stories), make.publication()
    identity, own, marks = Identity.of(publication), OwnAddresses(make.BASE_URL, "meridian"), Marks("bench")
    medium = Medium(markup=True, marks=marks, links=MailLinks(make.BASE_URL, marks, tracked=True))
    sheet = laid_out(issue, publication, medium, own)
    facts = {field.name: getattr(sheet, field.name) for field in fields(sheet)}

    start = time.perf_counter()
    composed = compose(issue, publication, make.BASE_URL)
    print(f"compose, first time     {(time.perf_counter() - start) * 1000:8.1f} ms")

    document = page("email/weekly/body.html", identity, facts)
    letter = Letter(composed.subject, inlined(document), composed.text)
    steps: dict[str, Callable[[], object]] = {
        "compose, warm": lambda: compose(issue, publication, make.BASE_URL),
        "  render the HTML": lambda: page("email/weekly/body.html", identity, facts),
        "  premailer": lambda: inlined(document),
        "  compile the message": lambda: assembled(letter, marks, publication, own),
        "lint": lambda: faults(composed.html),
    }
    for name, step in steps.items():
        print(f"{name:22}{median_ms(step):10.1f} ms")

    compiled = composed.compiled
    values = [slot.encode(make.VALUES.get(slot.name, "")) for slot in compiled.slots]
    message = compiled.join(values)
    print(f"message               {len(message) / 1000:10.1f} kB, {len(values)} slots, {stories} stories")
    print(f"fill                  {per_second(lambda: make.filled(compiled)):10,.0f} messages a second and core")
    print(f"join                  {per_second(lambda: compiled.join(values)):10,.0f} messages a second and core")


if __name__ == "__main__":
    main()
