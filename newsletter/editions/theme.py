"""The CSS of a mail: our style sheets filled with a brand's checked values.

Promise: two style sheets as ``Markup``. ``inlined`` is moved into style
attributes; ``kept`` stays in the head (dark mode, phones), below the 8,192
characters after which Gmail ignores a style element. A ``Brand`` is validated
(colours are ``#rrggbb``, fonts come from a list), and that is why it may stand in
CSS unescaped: escaping would turn the quotes of ``'Times New Roman'`` into
entities, and every font rule would silently be void.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from newsletter.editions.render import renderer
from newsletter.publications.brand import Brand

UI_STACK: Final = "Helvetica, Arial, sans-serif"  # small print in every theme: kickers, bylines, buttons, the footer


@dataclass(frozen=True, slots=True)
class Styles:
    """The two style sheets of one document, and the stack that Outlook's own sheet names."""

    inlined: Markup
    kept: Markup
    body_stack: Markup


def styles(brand: Brand, direction: str) -> Styles:
    """Fill the style sheets for a brand and a direction (``ltr`` or ``rtl``)."""
    start, end = ("right", "left") if direction == "rtl" else ("left", "right")
    facts = {"brand": brand, "ui_stack": UI_STACK, "start": start, "end": end}
    return Styles(
        inlined=_sheet("email/inlined.css", facts),
        kept=_sheet("email/kept.css", facts),
        body_stack=Markup(brand.body_stack),  # noqa: S704 - one of brand.FONTS
    )


def _sheet(name: str, facts: dict[str, object]) -> Markup:
    return Markup(renderer().render(name, **facts))  # noqa: S704 - our own file, filled with checked values
