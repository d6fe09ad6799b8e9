"""The return path that names its delivery: ``b+<token>@<bounce domain>``.

Promise: ``parse`` gives back the delivery that ``delivery`` made the path for, in
whatever case the mail servers left the address, or raises ``BadToken``; a token
that this program did not sign never names a delivery (threat T22).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from newsletter.delivery.tracking import BOUNCE, RETURN_PREFIX
from newsletter.errors import BadToken
from newsletter.kit.tokens import Sealer

# Also inside other text: some hosts encode the return path once more (SRS, BATV) or quote it.
_LOCAL_PART = re.compile(rf"(?<![a-z0-9]){re.escape(RETURN_PREFIX)}([0-9a-f]{{24,60}})(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """Names one delivery: ``send_id`` and the recipient's ``seq`` in that send."""

    send_id: int
    seq: int


def has_token(text: str) -> bool:
    """Tell whether the text holds something of the form of our return path, signed or not."""
    return _LOCAL_PART.search(text) is not None


def parse(secret: bytes, text: str) -> DeliveryKey:
    """Return the delivery named by the first return path in ``text`` or raise ``BadToken``."""
    match = _LOCAL_PART.search(text)
    if match is None:
        raise BadToken
    send_id, seq = Sealer(secret, BOUNCE).open_lower(match[1], 2)
    return DeliveryKey(send_id, seq)
