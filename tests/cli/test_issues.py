"""source, collect, issue, send and report: the commands of the week."""

import email
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from factories import cli
from factories.audience import subscriber
from factories.issues import issue as make_issue
from sqlalchemy import update

from newsletter import config, publications
from newsletter.cli import issue_send
from newsletter.db import Database
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.delivery.pace import paces
from newsletter.jobs.sweeper import Sweeper
from newsletter.jobs.work import Work

READERS = ("ada@readers.example", "ben@readers.example", "gone@readers.example")
STATES = ("pending", "claimed", "sending", "accepted", "deferred", "refused", "uncertain", "skipped")
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>The Meridian</title><link>http://127.0.0.1/</link>
<item><title>A harbour reopens</title><link>http://127.0.0.1/harbour</link><guid>1</guid>
<description>After nine years the ferries are back.</description><pubDate>Fri, 20 Nov 2026 09:00:00 GMT</pubDate></item>
</channel></rss>"""


@pytest.fixture
def feed():
    """The address of a feed with one story; anything but /feed.xml is not there."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            body = FEED.encode()
            self.send_response(200 if self.path == "/feed.xml" else 404)
            self.send_header("Content-Type", "application/rss+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/feed.xml"
        server.shutdown()


@pytest.fixture
def issue(publication, database_url):
    """A draft with three stories and three readers, its id."""
    database = Database(database_url)
    with database.transaction() as session:
        title = publications.get(session, publication)
        for address in READERS:
            subscriber(session, cli.SECRET.encode(), address, title.id)
        made = make_issue(session, title).id
    database.dispose()
    return made


@pytest.fixture
def approved(run, issue):
    assert run("issue", "approve", issue).code == 0
    return issue


@pytest.fixture
def relay(mailbox):
    mailbox.refused.add("gone@readers.example")
    return {"smtp_url": f"smtp://127.0.0.1:{mailbox.port}"}


@pytest.fixture
def worker(environment, relay, tmp_path):
    """A worker's own sweep in this process, without a broker."""
    names = {name.removeprefix(config.PREFIX).lower(): value for name, value in environment.items()}
    work = Work(config.load(**{name: names[name] for name in ("data_dir", "database_url", "secret_key")}, **relay))
    sweeper = Sweeper(work, period=0.1)
    sweeper.start()
    yield
    work.stop.set()
    sweeper.join()
    work.close()


def test_a_feed_is_added_listed_collected_and_drafted(run, publication, feed):
    allowed = {"fetch_allow": "127.0.0.1"}
    added = run("source", "add", publication, feed, "--section", "World", "--json", **allowed)
    assert added.json["url"] == feed
    (collected,) = run("collect", publication, "--json", **allowed).lines
    assert (collected["new"], collected["problem"]) == (1, "")
    (listed,) = run("source", "list", "--json").lines
    assert listed["stories"] == 1
    drafted = run("issue", "draft", publication, "--json").json
    assert drafted["story_count"] == 1
    shown = run("issue", "show", drafted["issue"], "--json").json
    assert "A harbour reopens" in [p["headline"] for section in shown["sections"] for p in section["placements"]]


def test_checking_a_feed_keeps_nothing(run, publication, feed):
    checked = run("source", "check", feed, "--json", fetch_allow="127.0.0.1").json
    assert [story["headline"] for story in checked["stories"]] == ["A harbour reopens"]
    assert run("source", "list", "--json").out == ""
    assert "A harbour reopens" in run("source", "check", feed, fetch_allow="127.0.0.1").out


def test_a_private_address_is_refused_unless_it_is_allowed(run, feed):
    done = run("source", "check", feed)
    assert done.code == 1
    assert "NEWSLETTER_FETCH_ALLOW" in done.err or "private" in done.err


def test_one_dead_feed_is_told_and_stops_no_other(run, publication, feed):
    allowed = {"fetch_allow": "127.0.0.1"}
    run("source", "add", publication, feed, **allowed)
    run("source", "add", publication, feed.replace("feed.xml", "dead.xml"), **allowed)
    done = run("collect", "--json", **allowed)
    assert done.code == 0
    assert sorted(bool(line["problem"]) for line in done.lines) == [False, True]


def test_when_no_feed_can_be_read_the_command_fails(run, publication, feed):
    run("source", "add", publication, feed.replace("feed.xml", "dead.xml"))
    done = run("collect", fetch_allow="127.0.0.1")
    assert done.code == 1
    assert "404" in done.out


def test_a_source_is_removed(run, publication, feed):
    source = run("source", "add", publication, feed, "--json").json["source"]
    assert run("source", "remove", source).code == 0
    assert run("source", "remove", source).code == 1


def test_an_empty_week_is_refused_with_the_reason(run, publication):
    done = run("issue", "draft", publication)
    assert done.code == 1
    assert done.err.startswith("error: ")


def test_an_issue_is_shown_and_listed(run, issue, publication):
    assert "state    draft" in run("issue", "show", issue).out
    (row,) = run("issue", "list", publication, "--json").lines
    assert (row["id"], row["story_count"]) == (issue, 3)
    assert run("issue", "show", 404).code == 1


def test_preflight_lists_findings_and_fails_only_when_one_blocks(run, issue):
    done = run("issue", "preflight", issue, "--json", base_url="https://news.example.org")
    assert done.code == (1 if any(line["level"] == "block" for line in done.lines) else 0)
    assert [set(line) for line in done.lines] == [{"level", "name", "reason", "where"}] * len(done.lines)


def test_a_rendered_message_is_whole_and_its_parts_are_its_parts(run, issue):
    whole = run("issue", "render", issue, "--format", "eml", "--subscriber", "ada@readers.example").out
    message = email.message_from_string(whole)
    assert message["To"].strip("<>") == "ada@readers.example"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = run("issue", "render", issue, "--format", "html").out
    assert html.lstrip().lower().startswith("<!doctype html")
    text = run("issue", "render", issue, "--format", "text").out
    assert "Story" in text
    assert "<html" not in text


def test_an_approval_names_the_editor(run, issue):
    run("staff", "create", "ed@example.org", "--role", "editor")
    approved = run("issue", "approve", issue, "--as", "ed@example.org", "--json").json
    assert (approved["state"], approved["approved_by"]) == ("approved", "ed@example.org")
    assert run("issue", "unapprove", issue, "--json").json["state"] == "draft"


def test_a_writer_cannot_approve_and_a_stranger_neither(run, issue):
    run("staff", "create", "wri@example.org", "--role", "writer")
    assert run("issue", "approve", issue, "--as", "wri@example.org").code == 1
    assert run("issue", "approve", issue, "--as", "nobody@example.org").code == 1
    assert run("issue", "show", issue, "--json").json["state"] == "draft"


def test_what_nobody_approved_is_not_sent(run, issue, relay):
    done = run("issue", "send", issue, **relay)
    assert done.code == 1
    assert "approve" in done.err


def test_without_a_relay_the_send_is_refused_with_the_setting(run, approved):
    done = run("issue", "send", approved)
    assert done.code == 1
    assert "NEWSLETTER_SMTP_URL" in done.err


def test_a_send_that_is_waited_for_accounts_for_everybody(run, approved, relay, worker, mailbox):
    done = run("issue", "send", approved, "--wait", "--json", **relay)
    assert done.code == 0, done.err
    account = done.json
    assert account["audience"] == sum(account[state] for state in STATES) == 3
    assert (account["accepted"], account["refused"]) == (2, 1)
    assert {mail.rcpt_to for mail in mailbox.received} == set(READERS[:2])

    again = run("issue", "send", approved, "--json", **relay).json
    assert again["send"] == account["send"], "asked twice, sent once"
    (refused,) = run("send", "recipients", account["send"], "--state", "refused", "--json").lines
    assert (refused["address"], refused["code"]) == ("gone@readers.example", 550)
    reported = run("report", approved, "--json").json
    assert (reported["audience"], reported["accepted"]) == (3, 2)
    assert "accepted" in run("report", approved).out


def test_a_scheduled_send_can_be_cancelled_and_the_wait_says_so(run, approved, relay):
    scheduled = run("issue", "send", approved, "--at", "2030-01-01T09:00", "--json", **relay).json
    assert scheduled["state"] == "scheduled"
    assert scheduled["send_at"] == "2030-01-01T09:00:00+00:00", "wall-clock time in London"
    send = scheduled["send"]
    assert run("send", "cancel", send, "--json").json["state"] == "cancelled"
    assert run("send", "cancel", send).code == 1
    assert run("send", "status", send, "--json").json["state"] == "cancelled"


def test_a_paused_send_goes_on_when_resumed(run, approved, relay, mailbox, worker):
    send = run("issue", "send", approved, "--wait", "--json", **relay).json["send"]
    mailbox.refused.clear()
    assert run("send", "pause", send).code == 1, "it is complete"
    retried = run("send", "retry", send, "--json").json
    assert retried["send"] == send
    done = run("issue", "send", approved, "--wait", "--json", **relay).json
    assert (done["accepted"], done["refused"]) == (3, 0)


def test_the_relays_log_settles_what_is_uncertain(run, approved, relay, worker, database, tmp_path):
    send = run("issue", "send", approved, "--wait", "--json", **relay).json["send"]
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.UNCERTAIN))
    eml = run("issue", "render", approved, "--format", "eml", "--subscriber", READERS[0]).out
    ident = email.message_from_string(eml)["Message-ID"]
    path = tmp_path / "mail.log"
    queued, sent = f"message-id={ident}", "status=sent (250 Ok)"
    path.write_text(f"mx postfix/cleanup[2]: 4bX1yZ3Qk: {queued}\nmx postfix/smtp[4]: 4bX1yZ3Qk: {sent}\n")
    done = run("send", "evidence", send, path, "--json").json
    assert (done["accepted"], done["uncertain"]) == (1, 2)
    assert "0 more are known" in run("send", "evidence", send, path).err
    assert run("send", "evidence", 99, path).code == 1
    assert run("send", "evidence", send, tmp_path / "no such file").code == 2


def test_waiting_ends_when_no_worker_runs(run, approved, relay, tmp_path, monkeypatch):
    monkeypatch.setattr(issue_send, "STILL_SECONDS", 0.5)
    with cli.broker(tmp_path):
        done = run("issue", "send", approved, "--wait", **relay)
    assert done.code == 1
    assert "No worker runs" in done.err


def test_waiting_ends_when_the_send_cannot_begin(run, publication, approved, relay, worker):
    for address in READERS:
        run("subscribers", "suppress", address)
    done = run("issue", "send", approved, "--wait", **relay)
    assert done.code == 1
    assert "the audience is empty" in done.err


@pytest.mark.parametrize("at", ["tomorrow", "2026-13-01", ""])
def test_a_time_that_is_none_is_refused(run, approved, relay, at):
    done = run("issue", "send", approved, "--at", at or " ", **relay)
    assert done.code == 1
    assert "is no date and time" in done.err


def test_bounces_are_explained_without_settings_or_database(run, tmp_path):
    bounce = tmp_path / "bounce.eml"
    bounce.write_text(
        "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        "Final-Recipient: rfc822; gone@readers.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\n\n--b--\n"
    )
    done = run("bounce", "explain", bounce, tmp_path / "missing.eml", database_url="nonsense")
    assert done.code == 1, "one file could not be read"
    assert "missing.eml cannot be read" in done.err
    (line,) = done.lines
    assert line["kind"] == "bounce"
    assert line["file"] == str(bounce)
    assert line["reports"][0]["recipient"] == "gone@readers.example"
    assert line["reports"][0]["hard"] is True


def test_waiting_ends_when_nothing_is_left_but_a_provider_that_refuses_us(run, approved, worker, database_url, relay):
    database = Database(database_url)
    paces.pause(database, "other", 600.0, "550 5.7.26 unauthenticated")
    database.dispose()
    done = run("issue", "send", approved, "--wait", **relay)
    assert done.code == 1
    assert "goes on by itself: Other providers refuse us" in done.err
    told = run("send", "status", 1)
    assert "not known" in told.out
    assert "paused" in told.out
