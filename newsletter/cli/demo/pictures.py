"""Pictures for the demonstration's stories, drawn by arithmetic.

Promise: ``draw`` returns a PNG of 1200 by 675 pixels and a few dozen kilobytes,
always the same one for the same scene and seed, without any library for images.
Not photographs and not meant to look like them: skies, hills, water and roofs in
a small palette. It writes no file.

A picture is made of columns: sky, then layers one below the other, each a run of
one palette index. Columns are joined and then read by stride, which turns them
into the rows that PNG wants (a slice per row instead of a loop per pixel).
"""

from __future__ import annotations

import math
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

WIDTH: Final = 1200
HEIGHT: Final = 675
SKY_SHADES: Final = 120  # palette indexes 0 to 119; layers and lights follow
LAYER: Final = SKY_SHADES
LIGHT: Final = 200

Colour: TypeAlias = tuple[int, int, int]
Outline: TypeAlias = Callable[[int], float]  # column to height of a layer's upper edge, 0 (bottom) to 1 (top)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one picture: the sky from top to horizon, the layers from far to near, the light."""

    top: Colour
    horizon: Colour
    far: Colour
    near: Colour
    light: Colour


PALETTES: Final = (
    Palette((38, 62, 92), (236, 190, 150), (120, 118, 130), (24, 34, 48), (252, 226, 188)),
    Palette((104, 150, 178), (238, 232, 214), (150, 170, 172), (36, 66, 74), (255, 250, 236)),
    Palette((72, 48, 74), (232, 150, 116), (140, 92, 96), (38, 26, 40), (255, 214, 170)),
    Palette((150, 172, 180), (244, 236, 220), (196, 178, 146), (104, 80, 56), (255, 246, 224)),
    Palette((22, 34, 58), (96, 120, 150), (58, 76, 104), (10, 16, 28), (214, 226, 240)),
)


def draw(scene: str, seed: str) -> bytes:
    """Return the PNG of a scene (a key of ``SCENES``), composed by ``seed``."""
    dice = random.Random(seed)  # noqa: S311 - a drawing, not a secret
    palette = dice.choice(PALETTES)
    outlines = SCENES[scene](dice)
    sun = None if scene in ("abstract", "room") else _disc(dice)
    return _png(_columns(outlines, sun), _colours(palette, len(outlines)))


def _waves(dice: random.Random, level: float, swing: float, count: float) -> Outline:
    """An uneven line around ``level``: three sines of different length."""
    parts = [(swing / (n + 1), count * (n * 1.7 + 1), dice.uniform(0, math.tau)) for n in range(3)]
    return lambda x: level + sum(size * math.sin(x / WIDTH * math.tau * turns + at) for size, turns, at in parts)


def _ridges(dice: random.Random, level: float, swing: float, peaks: int) -> Outline:
    """Straight slopes between points: mountains."""
    knots = [level + dice.uniform(-swing, swing) for _ in range(peaks + 2)]
    step = WIDTH / peaks

    def height(x: int) -> float:
        left = int(x / step)
        return knots[left] + (knots[left + 1] - knots[left]) * (x / step - left)

    return height


def _blocks(dice: random.Random, level: float, swing: float, narrowest: int) -> Outline:
    """Flat roofs of different height and width: houses, or stacked containers."""
    heights: list[float] = []
    while len(heights) < WIDTH:
        roof = level + dice.choice((0, 0.2, 0.35, 0.6, 1)) * swing
        heights.extend([roof] * dice.randint(narrowest, narrowest * 4))
    return lambda x: heights[x]


def _cranes(dice: random.Random, level: float) -> Outline:
    """A quay with the masts of cranes and ships on it."""
    masts = {dice.randint(40, WIDTH - 40): dice.uniform(0.12, 0.3) for _ in range(9)}
    thick = {base + n: height for base, height in masts.items() for n in range(4)}
    return lambda x: level + thick.get(x, 0)


def _sea(dice: random.Random) -> Sequence[Outline]:
    coast = _waves(dice, 0.47, 0.02, 1.5)
    return [coast, *(_waves(dice, 0.42 - n * 0.075, 0.0015 + n * 0.0012, 5 + n) for n in range(6))]


def _mountains(dice: random.Random) -> Sequence[Outline]:
    return [_ridges(dice, 0.66 - n * 0.13, 0.13 - n * 0.02, 7 + n * 3) for n in range(5)]


def _desert(dice: random.Random) -> Sequence[Outline]:
    return [_waves(dice, 0.45 - n * 0.09, 0.035 + n * 0.008, 0.8 + n * 0.3) for n in range(5)]


def _river(dice: random.Random) -> Sequence[Outline]:
    return [_waves(dice, 0.56 - n * 0.07, 0.02 + (n % 2) * 0.03, 1 + n * 0.4) for n in range(7)]


def _city(dice: random.Random) -> Sequence[Outline]:
    return [_blocks(dice, 0.34 - n * 0.09, 0.3 - n * 0.04, 14 + n * 9) for n in range(4)]


def _harbour(dice: random.Random) -> Sequence[Outline]:
    water = [_waves(dice, 0.2 - n * 0.07, 0.004, 4 + n) for n in range(3)]
    return [_blocks(dice, 0.36, 0.1, 26), _cranes(dice, 0.34), _blocks(dice, 0.24, 0.09, 34), *water]


def _abstract(dice: random.Random) -> Sequence[Outline]:
    return [_waves(dice, 0.92 - n * 0.12, 0.07, 0.5 + n * 0.15) for n in range(8)]


def _room(dice: random.Random) -> Sequence[Outline]:
    """Hills seen through a tall window, and the edge of a table."""
    left = dice.randint(250, 650)
    panes = {*range(left, left + 190), *range(left + 206, left + 396)}
    return [_waves(dice, 0.5, 0.05, 1.2), lambda x: 0.3 if x in panes else 1, lambda _x: 0.16]


SCENES: Final[Mapping[str, Callable[[random.Random], Sequence[Outline]]]] = {
    "sea": _sea,
    "mountains": _mountains,
    "desert": _desert,
    "river": _river,
    "city": _city,
    "harbour": _harbour,
    "abstract": _abstract,
    "room": _room,
}


def _disc(dice: random.Random) -> tuple[int, int, int]:
    """Where the sun or the moon stands: column, row, radius."""
    return dice.randint(200, WIDTH - 200), dice.randint(150, 330), dice.randint(34, 62)


def _columns(outlines: Sequence[Outline], sun: tuple[int, int, int] | None) -> bytes:
    """Return the picture column by column, ``HEIGHT`` palette indexes each."""
    sky = bytes(min(row * SKY_SHADES // HEIGHT, SKY_SHADES - 1) for row in range(HEIGHT))
    columns = []
    for x in range(WIDTH):
        edges = [min(HEIGHT, max(0, round(HEIGHT * (1 - outline(x))))) for outline in outlines]
        nearest = [min(edges[n:]) for n in range(len(edges))]  # a nearer layer hides a farther one
        air = bytearray(sky[: nearest[0]])
        if sun is not None and (half := math.sqrt(max(0, sun[2] ** 2 - (x - sun[0]) ** 2))):
            begin, end = round(sun[1] - half), min(round(sun[1] + half), len(air))
            air[begin:end] = bytes([LIGHT]) * max(0, end - begin)
        columns.append(bytes(air))
        columns.extend(
            bytes([LAYER + n]) * (below - above) for n, (above, below) in enumerate(pairwise([*nearest, HEIGHT]))
        )
    return b"".join(columns)


def _colours(palette: Palette, layers: int) -> bytes:
    """Return the palette: the sky's shades, the layers from far to near, the light."""
    shades = [_between(palette.top, palette.horizon, n / SKY_SHADES) for n in range(SKY_SHADES)]
    depth = [_between(palette.far, palette.near, n / max(layers - 1, 1)) for n in range(layers)]
    filler = [(0, 0, 0)] * (LIGHT - LAYER - layers)
    return b"".join(bytes(colour) for colour in (*shades, *depth, *filler, palette.light))


def _between(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _png(columns: bytes, colours: bytes) -> bytes:
    """Write a PNG with a palette (PNG specification, third edition; colour type 3, no filter)."""
    rows = b"".join(b"\0" + columns[row::HEIGHT] for row in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    )
