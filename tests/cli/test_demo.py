"""The demonstration: its parts, and the whole of it through its real processes, with few readers."""

import asyncio
import datetime as dt
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import feedparser
import httpx2
import pytest

from newsletter import events
from newsletter.cli.demo import behaviour, folder, newsroom, people, pictures, returns
from newsletter.cli.demo.behaviour import Habit
from newsletter.cli.demo.newsroom import LAST_WEEK, Newsroom
from newsletter.cli.demo.post import Post
from newsletter.delivery.transports.relays import Relay
from newsletter.delivery.transports.smtp import send_one
from newsletter.errors import Refused
from newsletter.kit import smtpd
from newsletter.web.inbox import Box, Fate

STARTED = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
BASE = "http://127.0.0.1:9/meridian"


class TestPeople:
    def test_they_are_always_the_same_and_no_two_share_an_address(self):
        everybody = people.everybody()
        assert len(everybody) == len({person.email for person in everybody}) == 25_000
        assert people.everybody(100) == everybody[:100]

    def test_not_one_address_can_exist(self):
        reserved = (".example.com", ".example.net", ".example.org")
        assert all(person.email.endswith(reserved) and person.email.isascii() for person in people.everybody())

    def test_the_file_is_what_a_person_would_import(self):
        head, first, *_ = people.as_csv(people.everybody(2)).getvalue().decode().splitlines()
        assert head == "email,first_name,last_name,occupation"
        assert first.startswith(people.everybody(1)[0].email)


class TestBehaviour:
    def test_shares_are_those_of_a_real_list(self):
        counted = Counter(behaviour.casting(people.everybody()).values())
        assert counted[Habit.UNKNOWN] == 250
        assert counted[Habit.FULL] == 125
        assert counted[Habit.GREYLISTED] == 250
        assert counted[Habit.BOUNCES_LATER] == 75
        assert [counted[habit] for habit in (Habit.COMPLAINS, Habit.AWAY, Habit.SCANNED)] == [1, 1, 1]
        assert 600 < counted[Habit.READS] < 630
        assert counted[Habit.LEAVES_BY_BUTTON] >= 3
        assert counted[Habit.LEAVES_BY_PAGE] >= 3

    def test_even_a_few_readers_play_every_part(self):
        assert set(behaviour.casting(people.everybody(300)).values()) == set(Habit)


class TestPost:
    @pytest.fixture
    def happened(self):
        return []

    @pytest.fixture
    def box(self):
        return Box()

    @pytest.fixture
    def send(self, box, happened):
        habits = {f"{habit.name.lower()}@post.example.net": habit for habit in Habit}
        with smtpd.Server(Post(box, habits, lambda *facts: happened.append(facts))) as server:
            relay = Relay.parse(f"smtp://127.0.0.1:{server.port}")
            yield lambda to: send_one(
                [relay], mail_from="b+x@bounces.example", rcpt_to=to, message=b"Subject: x\r\n\r\n"
            )

    @pytest.mark.parametrize(("who", "code", "fate"), [("unknown", 550, Fate.REFUSED), ("full", 552, Fate.REFUSED)])
    def test_a_mailbox_that_takes_nothing_refuses_every_time(self, box, happened, send, who, code, fate):
        for _ in range(2):
            assert send(f"{who}@post.example.net").code == code
        assert [(m.fate, m.rcpt_to, m.mail_from) for m in box.newest(before=None)] == [
            (fate, f"{who}@post.example.net", "b+x@bounces.example")
        ] * 2
        assert happened == []

    def test_a_greylisting_server_accepts_the_second_time(self, box, send):
        assert send("greylisted@post.example.net").code == 451
        assert send("greylisted@post.example.net").code == 250
        assert [m.fate for m in box.newest(before=None)] == [Fate.ACCEPTED, Fate.DEFERRED]

    def test_what_is_accepted_has_its_consequences_whatever_the_case_of_the_address(self, happened, send):
        send("Reads@post.example.net")
        send("visitor@home.example")
        assert [(habit, to) for habit, _, to, _ in happened] == [(Habit.READS, "Reads@post.example.net")]


class TestReturns:
    ORIGINAL = b"From: d@meridian.example\r\nSubject: The week\r\nMessage-ID: <1@x>\r\n\r\nBody.\r\n.\r\nMore.\r\n"

    @pytest.mark.parametrize(
        ("habit", "kind", "bounce_class"),
        [
            (Habit.BOUNCES_LATER, "bounce", "bad_mailbox"),
            (Habit.COMPLAINS, "complaint", "complaint"),
            (Habit.AWAY, "auto_reply", "auto_reply"),
        ],
    )
    def test_reports_are_judged_as_what_they_are(self, habit, kind, bounce_class):
        report = returns.REPORTS[habit]("b+abc@bounces.example", "ada@post.example.net", self.ORIGINAL)
        judged = events.explain(report).as_json()
        assert judged["kind"] == kind
        assert judged["reports"][0]["bounce_class"] == bounce_class
        if habit is not Habit.AWAY:
            assert judged["reports"][0]["recipient"] == "ada@post.example.net"
        assert b"\n" not in report.replace(b"\r\n", b"")

    def test_a_report_arrives_as_it_was_written(self):
        kept = []

        class Intake(smtpd.Handler):
            def data(self, session, envelope, message):
                kept.append((envelope.mail_from, envelope.rcpt_to, message))
                return ["250 2.0.0 Kept"]

        with smtpd.Server(Intake(), lmtp=True) as server:
            message = returns.complaint("b+abc@bounces.example", "ada@post.example.net", self.ORIGINAL)
            to = returns.recipient(Habit.COMPLAINS, "b+abc@bounces.example")
            reply = asyncio.run(returns.hand_in("127.0.0.1", server.port, to=to, message=message))
        assert reply == "250 2.0.0 Kept"
        assert kept == [("", ["feedback@bounces.example"], message)]

    def test_an_intake_that_is_away_is_told(self, monkeypatch):
        monkeypatch.setattr(returns, "PAUSE", 0.01)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        reply = asyncio.run(returns.hand_in("127.0.0.1", port, to="b+x@y.example", message=b"x\r\n"))
        assert reply.startswith("421 ")


class TestNewsroom:
    def test_there_are_stories_enough_and_in_every_shape(self):
        stories = newsroom.load(STARTED)
        review = [story for story in stories if story.channel == "review"]
        assert len(review) >= 24
        assert len({story.region for story in review}) >= 6
        assert len({story.kind for story in review}) >= 5
        for lacking in ("byline", "credit", "alt"):
            assert any(not getattr(story, lacking) for story in review), lacking
        assert any(story.undated for story in stories)

    @pytest.mark.parametrize(("path", "channel"), [("/feed.xml", "review"), ("/marginalia/feed.atom", "marginalia")])
    def test_feeds_are_well_formed_and_tell_what_is_out(self, path, channel):
        room = Newsroom(BASE, STARTED, STARTED)
        feed = feedparser.parse(room.answer(path).body)
        assert not feed.bozo
        assert [entry.title for entry in feed.entries] == [story.headline for story in room.published(channel)]
        assert all(entry.link.startswith(BASE) for entry in feed.entries)

    def test_the_podcast_is_a_json_feed(self):
        feed = json.loads(Newsroom(BASE, STARTED).answer("/wire/feed.json").body)
        assert feed["version"].endswith("1.1")
        assert len(feed["items"]) == 2

    def test_this_weeks_stories_come_out_when_they_are_published(self):
        room = Newsroom(BASE, STARTED, STARTED - LAST_WEEK)
        last_week = room.published()
        room.publish_all()
        everything = room.published()
        assert 0 < len(last_week) < len(everything)
        assert all(story.at <= STARTED - LAST_WEEK for story in last_week)

    def test_a_story_is_not_out_before_its_hour(self):
        future = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
        assert Newsroom(BASE, future).published() == []

    def test_every_link_and_picture_of_the_front_page_leads_somewhere(self):
        room = Newsroom(BASE, STARTED)
        front = room.answer("/").body.decode()
        for address in re.findall(f'href="{BASE}(/[^"]+)"', front):
            if address == "/":
                continue
            article = room.answer(address)
            assert article is not None, address
            for picture in re.findall(f'src="{BASE}(/[^"]+)"', article.body.decode()):
                assert room.answer(picture).media_type == "image/png"
        assert room.answer("/nowhere") is None

    @pytest.mark.parametrize("scene", pictures.SCENES)
    def test_pictures_are_small_and_whole(self, scene):
        drawn = pictures.draw(scene, "x")
        assert drawn[:8] == b"\x89PNG\r\n\x1a\n"
        assert drawn[16:24] == (1200).to_bytes(4) + (675).to_bytes(4)
        assert len(drawn) < 60_000
        assert pictures.draw(scene, "x") == drawn != pictures.draw(scene, "y")


class TestFolder:
    def test_a_folder_of_somebody_else_is_refused_and_kept(self, tmp_path):
        (tmp_path / "newsletter.db").write_text("a real newsroom")
        with pytest.raises(Refused, match=r"newsletter\.db"):
            folder.claim(tmp_path)
        assert (tmp_path / "newsletter.db").exists()

    def test_a_new_folder_and_one_of_ours_are_taken(self, tmp_path):
        folder.claim(tmp_path / "not there yet")
        (tmp_path / "run").mkdir()
        folder.claim(tmp_path)
        marker = folder.remember(tmp_path, 8001)
        folder.claim(tmp_path)
        assert folder.remembered(tmp_path) == marker

    def test_wiping_leaves_the_lock_and_follows_no_link(self, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_text("x")
        data = tmp_path / "demo"
        (data / "run").mkdir(parents=True)
        (data / "valkey").mkdir()
        (data / "link").symlink_to(outside)
        folder.remember(data, 1)
        folder.wipe(data)
        assert [path.name for path in data.iterdir()] == ["run"]
        assert (outside / "precious").exists()
        assert folder.remembered(data) is None

    def test_a_damaged_marker_is_told(self, tmp_path):
        (tmp_path / folder.MARKER).write_text("{")
        with pytest.raises(Refused, match="--reset"):
            folder.remembered(tmp_path)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Demo:
    """The command as a process of its own; its lines are gathered in a file."""

    def __init__(self, data, *arguments, port=None):
        self.port = port or free_port()
        self.data = data
        self.log = data.with_suffix(f".{self.port}.log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "newsletter", "demo", "--port", str(self.port), "--readers", "300", *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={
                    **environment,
                    "NEWSLETTER_DATA_DIR": str(data),
                    "NEWSLETTER_DATABASE_URL": "sqlite:////nowhere/x",
                },
            )

    @property
    def said(self):
        return self.log.read_text()

    def wait_for(self, pattern, seconds=40):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.said):
                return found
            assert self.process.poll() is None, self.said
            time.sleep(0.1)
        logs = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in (self.data / "logs").glob("*.log"))
        raise AssertionError(f"{pattern} not said in {seconds} s:\n{self.said}\n{logs}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=35)


@pytest.fixture
def demo(tmp_path):
    running = []

    def start(*arguments, **more):
        running.append(Demo(tmp_path / "d", *arguments, **more))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def until(check, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := check()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return value


@pytest.mark.journey
def test_the_whole_demonstration_with_few_readers(demo):
    first = demo()
    studio = first.wait_for(r"Studio +(http\S+)")[1]
    inbox = first.wait_for(r"Local inbox +(http\S+)")[1]
    sign_up = first.wait_for(r"Sign-up page +(http\S+)")[1]

    assert httpx2.get(studio).status_code == 200
    assert httpx2.get(sign_up).status_code == 200

    second = demo("--reset", port=free_port())
    assert second.process.wait(timeout=20) == 1
    assert f"process {first.process.pid}" in second.said
    assert "Traceback" not in second.said

    first.wait_for(r"No\. 2 is drafted from \d+ stories")
    # Greylisted readers come last: their mail servers want to be asked twice.
    sent = first.wait_for(r"No\. 1 was sent to 300 readers in \d+ s: (\d+) accepted, (\d+) refused, 0 uncertain", 120)
    assert int(sent[1]) + int(sent[2]) == 300
    assert int(sent[2]) > 0

    database = sqlite3.connect(f"file:{first.data / 'newsletter.db'}?mode=ro", uri=True)

    def kinds():
        return {kind for (kind,) in database.execute("SELECT DISTINCT kind FROM events")}

    wanted = {"bounced", "complained", "opened", "clicked", "unsubscribed", "autoresponded"}
    assert until(lambda: wanted <= kinds(), 90), kinds()
    database.close()

    page = httpx2.get(inbox).text
    assert "Mail for 300 invented readers" in page
    number = re.search(r'href="/m/(\d+)"', httpx2.get(inbox + "?fate=accepted&before=150").text)[1]
    assert "The Meridian Weekly" in httpx2.get(f"{inbox}m/{number}/body").text
    assert first.stop() == 0
    for port in (first.port, urlsplit(inbox).port):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_taken_port_is_told_and_wipes_nothing(demo, tmp_path):
    data = tmp_path / "d"
    data.mkdir()
    folder.remember(data, 1)
    (data / "precious").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = demo("--reset", port=taken.getsockname()[1])
        assert refused.process.wait(timeout=20) == 1
    assert "Cannot listen on 127.0.0.1" in refused.said
    assert "Traceback" not in refused.said
    assert (data / "precious").exists()
