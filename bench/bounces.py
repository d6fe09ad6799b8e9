"""Scores the reader of returned mail against a folder of messages with known answers.

    python bench/bounces.py [FOLDER]

The folder (default ../shared/data/bounces) holds messages and expected.jsonl,
one line per message: {"file", "recipients", "expect": [{"bounce_class", "hard"}]}.
Prints one line per figure; ``--wrong`` also lists what was judged otherwise.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from newsletter.events.bounces import explain
from newsletter.events.explanation import Explanation, Kind

FOLDER = Path("../shared/data/bounces")


def main() -> int:
    """Print the figures; exit 0 also when there is nothing to score."""
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    folder = Path(arguments[0]) if arguments else FOLDER
    if not (folder / "expected.jsonl").is_file():
        print(f"{folder} holds no expected.jsonl: nothing to score")
        return 0
    expected = [json.loads(line) for line in (folder / "expected.jsonl").read_text().splitlines()]
    raws = {row["file"]: (folder / row["file"]).read_bytes() for row in expected}
    count: Counter[str] = Counter()
    for row in expected:
        found = explain(raws[row["file"]])
        wrong = score(row, found, count)
        if wrong and "--wrong" in sys.argv:
            print(row["file"], *wrong, sep="\n    ")
    show(count)
    print(f"{'exceptions, CR, LF, CRLF':32}{exceptions(raws.values()):8}")
    print(f"{'messages per second':32}{speed(list(raws.values())):8.0f}")
    return 0


def score(row: dict[str, Any], found: Explanation, count: Counter[str]) -> list[str]:
    """Count one message; return what is wrong with it."""
    wrong: list[str] = []
    want = {r.lower() for r in row["recipients"] if not r.endswith(".invalid")}  # RFC 2606: nobody is named
    have = [(r.recipient or "").lower() for r in found.reports]
    needed = min(len(want), len(row["expect"]))  # a forwarded address has two right names
    if want:
        count["named"] += 1
        right = len(want & set(have)) >= needed
        count["right address"] += right
        if not right:
            wrong.append(f"address {have} instead of {sorted(want)}")
    extra = set(have) - want - {""}
    count["wrong extra"] += bool(extra)
    if extra:
        wrong.append(f"extra {sorted(extra)}")
    count["messages"] += 1
    classes = Counter(e["bounce_class"] for e in row["expect"])
    hits = sum((classes & Counter(r.bounce_class.value for r in found.reports)).values())
    count["reports"] += sum(classes.values())
    count["class right"] += hits
    hard = any(e["hard"] for e in row["expect"])
    called = any(r.hard for r in found.reports)
    count["hard"] += hard
    count["hard found"] += hard and called
    count["not hard"] += not hard
    count["called hard"] += called and not hard
    if hits < sum(classes.values()) or hard != called:
        said = [f"{r.bounce_class} {r.status} {r.hard}: {r.reply}" for r in found.reports]
        told = [f"{e['bounce_class']} {e['status']} {e['reason']} {e['hard']}" for e in row["expect"]]
        wrong.append(f"{found.kind} {said} instead of {told}")
    count["complaints"] += "complaint" in classes
    count["complaints found"] += "complaint" in classes and found.kind is Kind.COMPLAINT
    count["auto-replies"] += "auto_reply" in classes
    count["auto-replies taken for bounces"] += "auto_reply" in classes and found.kind is Kind.BOUNCE
    return wrong


def show(count: Counter[str]) -> None:
    """Print the shares."""
    for name, part, whole in (
        ("right address", "right address", "named"),
        ("wrong extra address", "wrong extra", "messages"),
        ("hard recall", "hard found", "hard"),
        ("called hard though not", "called hard", "not hard"),
        ("class right", "class right", "reports"),
        ("complaints found", "complaints found", "complaints"),
        ("auto-replies taken for bounces", "auto-replies taken for bounces", "auto-replies"),
    ):
        share = 100 * count[part] / max(count[whole], 1)
        print(f"{name:32}{share:8.1f} %   {count[part]} of {count[whole]}")


def exceptions(raws: Iterable[bytes]) -> int:
    """Count the messages that raise with any of the three line ends."""
    count = 0
    for raw in raws:
        plain = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for end in (b"\n", b"\r", b"\r\n"):
            try:
                explain(plain.replace(b"\n", end))
            except Exception as error:  # noqa: BLE001 - counting them is the point
                print(type(error).__name__, error)
                count += 1
    return count


def speed(raws: list[bytes]) -> float:
    """Return messages per second on one core, all of them three times."""
    begin = time.process_time()
    for _ in range(3):
        for raw in raws:
            explain(raw)
    return 3 * len(raws) / (time.process_time() - begin)


if __name__ == "__main__":
    raise SystemExit(main())
