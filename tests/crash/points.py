"""Places in the product at which a process of these tests kills itself, or runs out of memory.

The product has no switch for it: ``arm`` wraps the function that stands at the
place. A place that no longer exists raises ``AttributeError`` in the process, so
it ends with an error instead of being killed, and its test fails.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from newsletter.delivery.models import DeliveryState


def _always(*_arguments: Any, **_named: Any) -> bool:
    return True


def _has_outcome(_ledger: Any, batch: Any) -> bool:
    return any(change.to is DeliveryState.ACCEPTED for _, change in batch.changes)


@dataclass(frozen=True)
class Point:
    """A function, and whether the end comes ``before`` or after it; passages for which ``counts`` is false are none."""

    module: str
    name: str
    before: bool
    counts: Callable[..., bool] = _always


DELIVERY = "newsletter.delivery"
POINTS = {
    "before anything is claimed": Point(f"{DELIVERY}.run", "_register", before=True),
    "during the freeze": Point(f"{DELIVERY}.plan", "_freeze_audience", before=False),
    "after a claim": Point(f"{DELIVERY}.supply", "load", before=True),
    "after an intent, before the body": Point(f"{DELIVERY}.transports.channel", "Channel.deliver", before=True),
    "after a reply was read": Point(f"{DELIVERY}.transports.channel", "Channel.deliver", before=False),
    "before an outcome is committed": Point(f"{DELIVERY}.ledger", "Ledger._commit", before=True, counts=_has_outcome),
    "after an outcome is committed": Point(f"{DELIVERY}.ledger", "Ledger._commit", before=False, counts=_has_outcome),
    "before the send is ended": Point(f"{DELIVERY}.run", "finish", before=True),
}


def arm(name: str, nth: int = 1, *, memory: bool = False) -> None:
    """Kill this process with SIGKILL at the ``nth`` passage of a point, or let ``memory`` run out there."""
    point = POINTS[name]
    *outer, attribute = point.name.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(point.module))
    original = getattr(owner, attribute)
    passages = itertools.count(1)

    def passing(*arguments: Any) -> None:
        if point.counts(*arguments) and next(passages) == nth:
            if memory:
                raise MemoryError
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if point.before:
            passing(*arguments)
        result = original(*arguments, **named)
        if not point.before:
            passing(*arguments)
        return result

    @functools.wraps(original)
    async def awaited(*arguments: Any, **named: Any) -> Any:
        if point.before:
            passing(*arguments)
        result = await original(*arguments, **named)
        if not point.before:
            passing(*arguments)
        return result

    setattr(owner, attribute, awaited if inspect.iscoroutinefunction(original) else wrapped)
