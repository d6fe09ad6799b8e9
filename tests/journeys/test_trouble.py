"""What goes wrong in a newsroom's week: each gives a clear message where the editor looks, and nothing is lost."""

from __future__ import annotations

import pytest
from fixtures.mail import serving
from journeys.house import free_port

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

BAD_FEEDS = {
    "http://127.0.0.1:9/feed.xml": "connect",  # the discard port: nobody listens
    "/gone.xml": "404",
    "/huge.xml": "MB",
    "/page": "page",  # HTML in place of a feed
    "/broken.xml": "XML",  # torn in the middle of a story
}


def _publication(house, magazine, *paths):
    house.run(
        "publication", "create", "meridian", "--name", "The Meridian Weekly", "--from", "desk@meridian.example",
        "--address", "1 Harbour Row, Port Town", "--timezone", "Europe/London",
    )  # fmt: skip
    for path in paths:
        house.run("source", "add", "meridian", path if path.startswith("http") else magazine.base + path)


def test_bad_feeds_are_named_and_the_good_one_is_read(house, magazine):
    house.run("migrate")
    _publication(house, magazine, *BAD_FEEDS, "/feed.xml")
    collected = house.run("collect", "meridian")
    told = "".join((collected.stdout + collected.stderr).split())
    shown = {
        source["url"]: source for source in map(_parsed, house.run("source", "list", "--json").stdout.splitlines())
    }
    for path, word in BAD_FEEDS.items():
        url = path if path.startswith("http") else magazine.base + path
        said = shown[url]["problem"] or shown[url]["note"]
        assert word in said, f"{url}: {said}"
    assert "/gone.xml" in told
    good = shown[f"{magazine.base}/feed.xml"]
    assert good["problem"] == ""
    assert len(house.json("issue", "show", str(house.json("issue", "draft", "meridian")["issue"]))["sections"]) > 0


def test_an_empty_week_makes_no_issue_and_says_what_could_not_be_read(house, magazine):
    house.run("migrate")
    _publication(house, magazine, "/gone.xml")
    house.run("collect", "meridian", ok=False)
    refused = house.run("issue", "draft", "meridian", ok=False)
    assert "Nothing new" in refused.stderr
    assert "/gone.xml" in refused.stderr
    assert house.run("issue", "list", "meridian", "--json").stdout.strip() in {"", "[]"}


def test_a_relay_that_is_down_delays_the_send_and_loses_nobody(house, magazine):
    port = free_port()
    house.settings["SMTP_URL"] = f"smtp://127.0.0.1:{port}"
    house.start("run", "--port", str(house.port))
    house.wait_until_ready()
    _publication(house, magazine, "/feed.xml")
    house.run("collect", "meridian")
    (house.folder / "readers.csv").write_text("email\nana@example.com\nbo@example.org\n")
    house.run(
        "subscribers", "import", "readers.csv", "--publication", "meridian", "--confirmed", "--consent-source", "paper"
    )
    issue = str(house.json("issue", "draft", "meridian")["issue"])
    house.run("issue", "approve", issue)
    send = str(house.json("issue", "send", issue)["send"])

    def status():
        return house.json("send", "status", send)

    house.wait(lambda: status()["problem"], "nobody was told that the relay is down")
    waiting = status()
    assert str(port) in waiting["problem"]
    assert waiting["pending"] + waiting["deferred"] + waiting["claimed"] == waiting["audience"] == 2
    with serving(port) as mailbox:
        house.wait(lambda: status()["accepted"] == 2, "the send did not go on when the relay came back", seconds=90)
        assert len(mailbox.received) == 2
    assert status()["state"] == "complete"


def _parsed(line):
    import json

    return json.loads(line)
