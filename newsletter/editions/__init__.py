"""An issue rendered, compiled, checked and frozen."""

from newsletter.editions.checks.finding import Finding
from newsletter.editions.compiled import Compiled, Slot
from newsletter.editions.compose import Composed, compose
from newsletter.editions.freeze import freeze
from newsletter.editions.identity import Identity
from newsletter.editions.letters import Letter, letter
from newsletter.editions.links import Link
from newsletter.editions.preflight import preflight
from newsletter.editions.queries import LoadedEdition, latest, load, targets

__all__ = [
    "Compiled",
    "Composed",
    "Finding",
    "Identity",
    "Letter",
    "Link",
    "LoadedEdition",
    "Slot",
    "compose",
    "freeze",
    "latest",
    "letter",
    "load",
    "preflight",
    "targets",
]
