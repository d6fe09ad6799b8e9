"""Reading the CSV files that other programs write: any encoding, any delimiter, any damage.

Promise: every line of the file ends up in exactly one ``Record``, a bad one with
the reason, and no line costs a later one its life: a quotation mark that is
never closed spoils its own line only. Memory stays flat whatever the file's size
(T5). It knows nothing of readers; ``importrows`` says what the cells mean.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

CHUNK: Final = 1 << 16
MAX_LINE: Final = 1 << 16  # characters
MAX_SPAN: Final = 50  # lines that one quoted record may cover
DELIMITERS: Final = (",", ";", "\t")

TOO_LONG: Final = f"The line is longer than {MAX_LINE:,} characters."
UNCLOSED: Final = "A quotation mark is not closed."


@dataclass(frozen=True, slots=True)
class Record:
    """One record by its number as a spreadsheet counts (the first is 1): its cells, or what is wrong with it."""

    number: int
    cells: list[str]
    problem: str = ""


def read(file: BinaryIO) -> Iterator[Record]:
    """Yield the records of a file, the header first. Records without any text are counted and left out.

    Encodings: UTF-8 and UTF-16 with or without a byte order mark; a line that is
    not UTF-8 is read as Windows-1252, else as ISO 8859-1. The delimiter is the
    one that the header uses most, or the one that a first line ``sep=;`` names.
    """
    lines = _Lines(_decoded(file))
    delimiter = ""
    for number, line in enumerate(lines, start=1):
        if line is None:
            yield Record(number, [], TOO_LONG)
            continue
        if not line.strip():
            continue
        if not delimiter:
            named = line.strip().lower()
            if named.startswith("sep=") and len(named) == len("sep=") + 1:
                delimiter = named[-1]
                continue
            delimiter = _delimiter(line)
        cells = line.split(delimiter) if '"' not in line else _quoted(line, lines, delimiter)
        if cells is None:
            yield Record(number, [], UNCLOSED)
        elif any(cell.strip() for cell in cells):
            yield Record(number, cells)


class _Lines:
    """Lines with steps back: what a quotation mark swallowed in vain is given back."""

    def __init__(self, source: Iterator[str | None]) -> None:
        self._source = source
        self._back: deque[str | None] = deque()

    def __iter__(self) -> Iterator[str | None]:
        return self

    def __next__(self) -> str | None:
        return self._back.popleft() if self._back else next(self._source)

    def give_back(self, lines: list[str | None]) -> None:
        self._back.extendleft(reversed(lines))


def _quoted(first: str, lines: _Lines, delimiter: str) -> list[str] | None:
    """Return the cells of a record with quotation marks, which may cover further lines; ``None`` if unclosed."""
    further: list[str | None] = []

    def feed() -> Iterator[str]:
        yield first + "\n"
        for line in itertools.islice(lines, MAX_SPAN):
            further.append(line)
            if line is None:
                return
            yield line + "\n"

    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error:
        lines.give_back(further)
    # Not by the book, such as `"Jo"hn`: take the one line as spreadsheets do.
    cells = next(csv.reader([first + "\n"], delimiter=delimiter))
    return None if cells[-1].endswith("\n") else cells  # only an open quotation mark keeps the line's end


def _delimiter(header: str) -> str:
    plain = "".join(header.split('"')[::2])  # what stands outside quotation marks
    return max(DELIMITERS, key=plain.count)


def _encoding(head: bytes) -> tuple[str, int]:
    """Return (codec, length of the byte order mark); ISO 8859-1 stands for bytes that ``_text`` decodes by line."""
    for mark, codec in (
        (codecs.BOM_UTF8, "latin-1"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return codec, len(mark)
    sample = head[:200]
    if sample[1::2].count(0) * 4 > len(sample):  # more than half of the second bytes: ASCII text in UTF-16
        return "utf-16-le", 0
    if sample[::2].count(0) * 4 > len(sample):
        return "utf-16-be", 0
    return "latin-1", 0


def _decoded(file: BinaryIO) -> Iterator[str | None]:
    """Yield the lines of a file without their ends; ``None`` for one that is too long."""
    chunk = file.read(CHUNK)
    codec, mark = _encoding(chunk)
    decode = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)("replace"), translate=True).decode
    text = str if codec != "latin-1" else _text
    rest, skipping = decode(chunk[mark:]), False
    while chunk:
        *whole, rest = rest.split("\n")
        for line in whole:
            yield None if skipping or len(line) > MAX_LINE else text(line)
            skipping = False
        if len(rest) > MAX_LINE:
            skipping, rest = True, ""
        chunk = file.read(CHUNK)
        rest += decode(chunk, final=not chunk)
    if rest or skipping:
        for line in rest.split("\n"):
            yield None if skipping or len(line) > MAX_LINE else text(line)
            skipping = False


def _text(line: str) -> str:
    """Decode one line that was read as ISO 8859-1, which keeps every byte."""
    if line.isascii():
        return line
    raw = line.encode("latin-1")
    for codec in ("utf-8", "cp1252"):
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    return line
