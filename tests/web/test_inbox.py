"""The demonstration's mailbox: what it keeps, and its pages."""

import itertools

import pytest
from factories.web import html, words
from starlette.testclient import TestClient

from newsletter.web.inbox import Box, Fate, create_app
from newsletter.web.inbox import box as boxes
from newsletter.web.inbox.box import subject_of
from newsletter.web.inbox.letter import read

CROWD = ["ada@post.example.net", "ben@post.example.net"]


def mail(subject="The week, in brief", *, bulk=True, html_part="<html><head></head><body><h1>Hello</h1></body></html>"):
    list_id = "List-ID: <weekly.meridian.example>\r\n" if bulk else ""
    return (
        f"From: Desk <desk@meridian.example>\r\nSubject: {subject}\r\n{list_id}MIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello, in plain text.\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"{html_part.replace('=', '=3D')}\r\n--b--\r\n"
    ).encode()


def accept(box, to=CROWD[0], message=None):
    return box.add(
        Fate.ACCEPTED, mail_from="b+x@bounces.example", rcpt_to=to, reply="250 Ok", message=message or mail()
    )


@pytest.fixture
def box():
    return Box(CROWD)


@pytest.fixture
def client(box):
    return TestClient(create_app(box, "http://news.example.test"), base_url="http://inbox.example.test")


class TestBox:
    def test_every_envelope_is_counted_and_found_again(self, box):
        first = accept(box)
        refused = box.add(Fate.REFUSED, mail_from="", rcpt_to=CROWD[1], reply="550 5.1.1 no")
        assert (box.get(first.number), box.get(refused.number)) == (first, refused)
        assert box.counts == {Fate.ACCEPTED: 1, Fate.REFUSED: 1}
        assert [found.number for found in box.newest(before=None)] == [refused.number, first.number]
        assert (box.get(0), box.get(99)) == (None, None)

    def test_of_an_issue_only_the_first_mails_are_kept_whole(self, box, monkeypatch):
        monkeypatch.setattr(boxes, "SAMPLE", 3)
        kept = [accept(box) for _ in range(5)]
        assert [box.message(one.number) is not None for one in kept] == [True] * 3 + [False] * 2
        other = accept(box, message=mail("Another issue"))
        assert box.message(other.number) == mail("Another issue")
        assert box.kept == 4

    def test_a_notice_and_mail_to_a_visitor_are_kept_whatever_the_issue(self, box, monkeypatch):
        monkeypatch.setattr(boxes, "SAMPLE", 0)
        assert box.message(accept(box).number) is None
        assert box.message(accept(box, to="Visitor@home.example").number)
        assert box.message(accept(box, message=mail("Please confirm", bulk=False)).number)

    def test_memory_is_bounded_whatever_arrives(self, monkeypatch):
        monkeypatch.setattr(boxes, "MAX_NOTICES", 5)
        monkeypatch.setattr(boxes, "MAX_RUNS", 2)
        small = Box(CROWD, max_envelopes=50)
        for n in range(500):
            accept(small, message=mail(f"Issue {n}"))
            accept(small, to="visitor@home.example")
        assert len(list(small.newest(before=None))) <= 50
        assert small.kept <= 5 + 2
        assert small.counts[Fate.ACCEPTED] == 1000
        newest = next(small.newest(before=None))
        assert (newest.number, small.get(newest.number)) == (1000, newest)
        assert small.get(1) is None

    def test_search_looks_at_address_and_subject_and_fate(self, box):
        accept(box, to="Ada@post.example.net", message=mail("Halmara"))
        accept(box, to="ben@post.example.net", message=mail("Kestria"))
        box.add(Fate.DEFERRED, mail_from="", rcpt_to="ben@post.example.net", reply="451 later")
        assert [m.rcpt_to for m in box.newest(before=None, text="ADA@")] == ["Ada@post.example.net"]
        assert [m.subject for m in box.newest(before=None, text="kestria")] == ["Kestria"]
        assert [m.reply for m in box.newest(before=None, text="ben", fate=Fate.DEFERRED)] == ["451 later"]

    @pytest.mark.parametrize(
        ("raw", "subject"),
        [
            (b"Subject: Plain\r\n\r\nbody", "Plain"),
            (b"To: x\r\nSUBJECT: =?utf-8?q?Caf=C3=A9?=\r\n\r\n", "Café"),
            (b"Subject: folded\r\n over two lines\r\n\r\n", "folded over two lines"),
            (b"Subject: =?nonsense?q?x?=\r\n\r\n", "=?nonsense?q?x?="),
            (b"X: y\r\n\r\nSubject: in the body", ""),
            (b"", ""),
        ],
    )
    def test_a_subject_is_read_whatever_its_form(self, raw, subject):
        assert subject_of(raw) == subject


class TestPages:
    def test_an_empty_inbox_says_so(self, client):
        assert "Nothing has arrived yet" in words(client.get("/"))

    def test_the_list_shows_newest_first_with_counts(self, box, client):
        accept(box, to=CROWD[0])
        box.add(Fate.REFUSED, mail_from="", rcpt_to=CROWD[1], reply="550 5.1.1 no")
        page = client.get("/")
        assert [row.text() for row in html(page).css(".rows a")] == [CROWD[1], CROWD[0]]
        assert [dd.text().strip() for dd in html(page).css(".facts dd")] == ["1", "1", "0", "0"]
        assert "550 5.1.1 no" in words(page)

    def test_the_list_is_read_in_pages(self, box, client):
        for n in range(120):
            accept(box, to=f"reader{n}@home.example")
        seen, page = [], client.get("/")
        for _ in itertools.count():
            seen += [row.text() for row in html(page).css(".rows a")]
            following = html(page).css_first('a[rel="next"]')
            if following is None:
                break
            page = client.get(following.attributes["href"])
        assert seen == [f"reader{n}@home.example" for n in reversed(range(120))]

    def test_search_and_filter_keep_each_other(self, box, client):
        for n in range(60):
            accept(box, to=f"a{n}@home.example")
            box.add(Fate.REFUSED, mail_from="", rcpt_to=f"b{n}@home.example", reply="550 no")
        page = client.get("/?q=@home&fate=refused")
        following = html(page).css_first('a[rel="next"]').attributes["href"]
        rows = [row.text() for row in html(client.get(following)).css(".rows a")]
        assert rows == [f"b{n}@home.example" for n in reversed(range(10))]
        assert html(page).css_first('input[name="q"]').attributes["value"] == "@home"

    def test_a_message_is_shown_as_html_text_headers_and_source(self, box, client):
        number = accept(box).number
        page = client.get(f"/m/{number}")
        frame = html(page).css_first("iframe")
        assert frame.attributes["src"] == f"/m/{number}/body"
        assert "allow-scripts" not in frame.attributes["sandbox"]
        assert "Hello, in plain text." in words(client.get(f"/m/{number}?view=text"))
        assert "List-ID" in words(client.get(f"/m/{number}?view=headers"))
        assert "--b--" in words(client.get(f"/m/{number}?view=source"))
        assert client.get(f"/m/{number}/raw").content == mail()

    def test_mail_is_framed_without_scripts_and_opens_links_outside(self, box, client):  # T2
        number = accept(box, message=mail(html_part="<html><head></head><script>alert(1)</script></html>")).number
        body = client.get(f"/m/{number}/body")
        assert "<head><base target" in body.text
        policy = body.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy

    def test_what_a_stranger_wrote_is_escaped(self, box, client):  # T3
        nasty = '"><script>alert(1)</script>'
        number = accept(box, to=f"{nasty}@home.example", message=mail(nasty)).number
        for path in ("/", f"/m/{number}", f"/m/{number}?view=headers", f"/m/{number}?view=source", f"/?q={nasty}"):
            assert "<script>alert" not in client.get(path).text

    def test_a_message_that_was_not_kept_says_why(self, box, client, monkeypatch):
        monkeypatch.setattr(boxes, "SAMPLE", 0)
        number = accept(box).number
        assert "Only the envelope was kept" in words(client.get(f"/m/{number}"))
        assert client.get(f"/m/{number}/body").status_code == 404
        assert client.get(f"/m/{number}/raw").status_code == 404
        refused = box.add(Fate.REFUSED, mail_from="b@x.example", rcpt_to=CROWD[0], reply="550 5.1.1 no such user")
        page = words(client.get(f"/m/{refused.number}"))
        assert "550 5.1.1 no such user" in page
        assert "before any message was handed over" in page

    @pytest.mark.parametrize("path", ["/m/77", "/m/77/body", "/m/77/raw", "/static/nothing.css", "/elsewhere"])
    def test_what_is_not_there_is_not_found(self, client, path):
        assert client.get(path).status_code == 404

    @pytest.mark.parametrize(
        "query", ["?before=x", "?before=-1", "?before=99999999999999999999", "?fate=strange", "?q="]
    )
    def test_a_strange_query_is_no_error(self, box, client, query):
        accept(box)
        assert client.get(f"/{query}").status_code == 200

    def test_nothing_can_be_changed(self, box, client):
        number = accept(box).number
        for path in ("/", f"/m/{number}", f"/m/{number}/raw"):
            assert client.post(path).status_code == 405

    def test_the_page_asks_for_itself_again_only_where_new_mail_belongs(self, box, client):
        accept(box)
        assert html(client.get("/")).css_first("[data-poll]").attributes["data-poll"] == "1500"
        assert html(client.get("/?q=ada")).css_first("[data-poll]") is None


class TestLetter:
    @pytest.mark.parametrize(
        "raw",
        [b"", b"\x00\xff", b"Subject: x", b"Content-Type: text/plain; charset=klingon\r\n\r\nhi", mail()[:200]],
    )
    def test_any_bytes_can_be_read(self, raw):
        assert isinstance(read(raw).source, str)

    def test_a_report_shows_its_readable_parts(self):
        report = (
            b'Content-Type: multipart/report; report-type=delivery-status; boundary="r"\r\n\r\n'
            b"--r\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
            b"--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nStatus: 5.1.1\r\n\r\n"
            b"--r--\r\n"
        )
        letter = read(report)
        assert "Sorry." in letter.text
        assert "Status: 5.1.1" in letter.text
        assert letter.html == ""
