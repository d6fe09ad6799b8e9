"""The one place that runs Jinja2: one environment for mail, notices and web pages.

Promise: a template is always a file of ours; people's words are values and never
template source (threat T1). What goes into ``.html`` and ``.xml`` is escaped; ``.txt`` and
``.css`` are not, so only checked values may go into CSS. A name that a template
uses and nobody gave is an error, not an empty string. Dates and numbers are
written by Babel in the language that the template names.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any, Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound, select_autoescape

from newsletter.editions.text import underlined, wrapped
from newsletter.kit import assets

Style = Literal["full", "long", "medium", "short"]


@cache
def locale_of(language: str) -> Locale:
    """Return the locale of a BCP 47 tag such as ``en-GB``; English for one that Babel does not know."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en")


def day(value: dt.date, language: str = "en", style: Style = "long") -> str:
    """Write a date: ``full`` (with the day's name), ``long``, ``medium`` or ``short``."""
    return format_date(value, style, locale_of(language))


def day_near(value: dt.date, reference: dt.date, language: str = "en") -> str:
    """Write a date, without its year when that is the year of ``reference``."""
    if value.year != reference.year:
        return day(value, language)
    # The formatter wants an instant; noon is on the same day in every zone it might assume.
    noon = dt.datetime.combine(value, dt.time(12), dt.UTC)
    return format_skeleton("MMMMd", noon, locale=locale_of(language))


def number(value: float, language: str = "en") -> str:
    """Write a number with the separators of its language."""
    return format_decimal(value, locale=locale_of(language))


class Renderer:
    """The shared environment over one folder of templates."""

    __slots__ = ("_environment",)

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(enabled_extensions=("html", "xml"), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._environment.filters.update(day=day, number=number, wrapped=wrapped, underlined=underlined)

    def has(self, name: str) -> bool:
        """Whether there is a template of this name."""
        try:
            self._environment.get_template(name)
        except TemplateNotFound:
            return False
        return True

    def names(self) -> list[str]:
        """Return the names of all templates, sorted."""
        return self._environment.list_templates()

    def render(self, name: str, **facts: Any) -> str:  # noqa: ANN401 - a template's facts are of any type
        """Return the template ``name`` (a path under templates/) filled with ``facts``."""
        return self._environment.get_template(name).render(facts)


@cache
def renderer() -> Renderer:
    """Return this process's renderer."""
    return Renderer(assets.templates())
