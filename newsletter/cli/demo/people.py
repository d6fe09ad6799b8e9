"""The demonstration's readers: as many as wanted, invented, always the same ones.

Promise: the n-th reader is the same in every process and on every machine; every
address is different and lies under a domain that RFC 2606 reserves for examples,
so that not one of them can exist. Names are put together from common ones of
many languages; whoever is meant by one is a coincidence.
"""

from __future__ import annotations

import csv
import io
import random
import tomllib
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READERS: Final = 25_000

# Like the providers of a real list: a few large ones and many small ones.
DOMAINS: Final = (
    ("gmail-like.example.com", 38),
    ("outlook-like.example.net", 17),
    ("yahoo-like.example.org", 9),
    ("icloud-like.example.com", 8),
    ("post.example.net", 6),
    ("foreign-office.example.org", 4),
    ("university.example.org", 6),
    ("parliament.example.net", 2),
    ("thinktank.example.org", 3),
    ("newsdesk.example.com", 3),
    ("embassy.example.net", 2),
    ("home.example.com", 2),
)
OCCUPATIONS: Final = ("Student", "Journalist", "Civil servant", "Researcher", "Teacher", "Diplomat", "Retired", "Other")
_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "ı": "i", "ß": "ss", "æ": "ae", "đ": "d", "-": ""})


@dataclass(frozen=True, slots=True)
class Person:
    """One invented reader."""

    number: int
    first_name: str
    last_name: str
    email: str
    occupation: str


def everybody(count: int = READERS) -> list[Person]:
    """Return the first ``count`` readers, numbered from 0."""
    names = tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))
    firsts, lasts = names["first"].split(), names["last"].split()
    dice = random.Random("the readers of the Meridian Weekly")  # noqa: S311 - invented people, no secret
    domains, weights = zip(*DOMAINS, strict=True)
    namesakes: dict[str, int] = {}
    people = []
    for number in range(count):
        first, last = dice.choice(firsts), dice.choice(lasts)
        wanted = f"{_plain(first)}.{_plain(last)}@{dice.choices(domains, weights)[0]}"
        namesakes[wanted] = nth = namesakes.get(wanted, 0) + 1
        email = wanted if nth == 1 else wanted.replace("@", f"{nth}@")
        people.append(Person(number, first, last.replace("-", " "), email, dice.choice(OCCUPATIONS)))
    return people


def as_csv(people: list[Person]) -> io.BytesIO:
    """Return the readers as the CSV file that a person would import."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("email", "first_name", "last_name", "occupation"))
    writer.writerows((person.email, person.first_name, person.last_name, person.occupation) for person in people)
    return io.BytesIO(text.getvalue().encode())


def _plain(name: str) -> str:
    """Write a name as it is written in addresses: lower-case ASCII letters."""
    letters = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
