"""How a publication looks: its colours in both schemes, its fonts, its logo.

Promise: a ``Brand`` that came out of ``Brand.of`` or ``checked`` is legible.
Every pair of colours that words are set in reaches a contrast of 4.5 to 1
(WCAG 2.2, criterion 1.4.3) in the light and in the dark scheme, every font is a
stack that mail clients carry, and a logo has a size and an alternative text.
It renders nothing; themes read its fields.

Which colour goes where: words in ``ink`` or ``ink_soft`` and links in ``link``
stand on ``paper`` (the sheet) or on ``page`` (what surrounds the sheet); words in
``on_accent`` stand on ``accent`` (a button, a banner). ``line`` draws rules and
``accent`` may draw them too, but neither is a colour for words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from newsletter.errors import Invalid
from newsletter.publications.models import Publication

MIN_CONTRAST: Final = 4.5
MAX_LOGO_WIDTH: Final = 600  # the width of the sheet, in CSS pixels
MAX_LOGO_HEIGHT: Final = 400

FONTS: Final[Mapping[str, str]] = {
    "georgia": "Georgia, 'Times New Roman', Times, serif",
    "charter": "Charter, 'Bitstream Charter', Cambria, Georgia, serif",
    "palatino": "'Palatino Linotype', Palatino, 'Book Antiqua', Georgia, serif",
    "times": "'Times New Roman', Times, serif",
    "system": "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
    "helvetica": "'Helvetica Neue', Helvetica, Arial, sans-serif",
    "verdana": "Verdana, Geneva, 'DejaVu Sans', sans-serif",
    "trebuchet": "'Trebuchet MS', 'Lucida Grande', 'Lucida Sans Unicode', sans-serif",
}

# Words of the first colour are set on each of the others.
PAIRS: Final = (
    ("ink", ("paper", "page")),
    ("ink_soft", ("paper", "page")),
    ("link", ("paper", "page")),
    ("on_accent", ("accent",)),
)
_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Brand:
    """Colours as ``#rrggbb``, fonts as names of ``FONTS``, the logo's size in CSS pixels.

    The defaults suit a serious magazine: ink on white, a deep red, serif headlines.
    """

    accent: str = "#8c1c1c"
    on_accent: str = "#ffffff"
    ink: str = "#1b1a18"
    ink_soft: str = "#5c5851"
    paper: str = "#ffffff"
    page: str = "#f3f1ec"
    line: str = "#d9d5cc"
    link: str = "#8c1c1c"
    accent_dark: str = "#b23a35"
    on_accent_dark: str = "#ffffff"
    ink_dark: str = "#ece9e2"
    ink_soft_dark: str = "#b3aea4"
    paper_dark: str = "#1d1c1a"
    page_dark: str = "#131211"
    line_dark: str = "#3d3a35"
    link_dark: str = "#f0a39c"
    head_font: str = "georgia"
    body_font: str = "georgia"
    logo_url: str = ""
    logo_alt: str = ""
    logo_width: int = 0
    logo_height: int = 0

    @classmethod
    def of(cls, publication: Publication) -> Brand:
        """Return the brand of a publication: the defaults under what it has set."""
        return checked(publication.brand)

    @property
    def head_stack(self) -> str:
        """The CSS ``font-family`` of headlines."""
        return FONTS[self.head_font]

    @property
    def body_stack(self) -> str:
        """The CSS ``font-family`` of running text."""
        return FONTS[self.body_font]


DEFAULT: Final = Brand()
COLOURS: Final = tuple(
    field.name for field in fields(Brand) if "font" not in field.name and not field.name.startswith("logo")
)


def checked(values: Mapping[str, Any]) -> Brand:
    """Make a brand of ``values`` over the defaults, or raise ``Invalid`` naming the field (``brand.<name>``)."""
    known = {field.name: type(getattr(DEFAULT, field.name)) for field in fields(Brand)}
    clean: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise _invalid(name, f"A brand has no “{name}”; it has {', '.join(known)}.")
        if known[name] is int:
            clean[name] = _pixels(name, value)
        elif not isinstance(value, str):
            raise _invalid(name, f"The brand's {name} must be text.")
        else:
            clean[name] = _colour(name, value) if name in COLOURS else value.strip()
    brand = Brand(**clean)
    _check_fonts(brand)
    _check_logo(brand)
    _check_contrast(brand)
    return brand


def contrast(one: str, other: str) -> float:
    """Return the contrast of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def nearest_passing(colour: str, backgrounds: tuple[str, ...]) -> str | None:
    """Return the shade nearest to ``colour`` that is legible on all ``backgrounds``; None if there is none."""
    best: tuple[int, str] | None = None
    for end in (0, 255):
        for step in range(1, 256):
            shade = _mixed(colour, end, step / 255)
            if all(contrast(shade, background) >= MIN_CONTRAST for background in backgrounds):
                best = min(best or (step, shade), (step, shade))
                break
    return best[1] if best else None


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, field=f"brand.{name}")


def _pixels(name: str, value: object) -> int:
    limit = MAX_LOGO_WIDTH if name == "logo_width" else MAX_LOGO_HEIGHT
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise _invalid(name, f"The brand's {name} must be a number of pixels from 0 to {limit}.")
    return value


def _colour(name: str, value: str) -> str:
    colour = value.strip().lower()
    if not _HEX.fullmatch(colour):
        raise _invalid(name, f"The brand's {name}, “{value}”, is no colour; write it like #8c1c1c.")
    return colour


def _check_fonts(brand: Brand) -> None:
    for name in ("head_font", "body_font"):
        if (font := getattr(brand, name)) not in FONTS:
            raise _invalid(name, f"“{font}” is no font that mail clients carry; choose one of {', '.join(FONTS)}.")


def _check_logo(brand: Brand) -> None:
    if not brand.logo_url:
        return
    parts = urlsplit(brand.logo_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _invalid("logo_url", "The logo needs a full address, such as https://example.org/logo.png.")
    if not brand.logo_alt:
        raise _invalid("logo_alt", "The logo needs an alternative text, usually the name of the newsletter.")
    for name in ("logo_width", "logo_height"):
        if not getattr(brand, name):
            raise _invalid(name, "The logo needs its width and height in pixels, or mail clients will distort it.")


def _check_contrast(brand: Brand) -> None:
    for scheme in ("", "_dark"):
        for words, surfaces in PAIRS:
            name = words + scheme
            colour = getattr(brand, name)
            backgrounds = tuple(getattr(brand, surface + scheme) for surface in surfaces)
            for surface, background in zip(surfaces, backgrounds, strict=True):
                ratio = contrast(colour, background)
                if ratio < MIN_CONTRAST:
                    raise _illegible(name, surface + scheme, ratio, nearest_passing(colour, backgrounds))


def _illegible(name: str, surface: str, ratio: float, shade: str | None) -> Invalid:
    advice = f"the nearest legible shade is {shade}" if shade else f"no shade of it would be; change {surface}"
    return _invalid(name, f"The brand's {name} is hard to read on its {surface} ({ratio:.1f} to 1, not 4.5); {advice}.")


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - WCAG's constants
        for value in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mixed(colour: str, end: int, share: float) -> str:
    """Mix a colour with black (0) or white (255)."""
    return "#" + "".join(f"{round(channel + (end - channel) * share):02x}" for channel in _channels(colour))
