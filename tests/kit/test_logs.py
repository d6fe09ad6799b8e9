import io
import json
import logging

import pytest

from newsletter.kit import logs

log = logging.getLogger("newsletter.tests")


@pytest.fixture(params=["text", "json"])
def written(request):
    """What a process with this log format has written so far."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup(request.param, stream=stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("GET /u/EqoBc2VjcmV0LXRva2Vu 200", "EqoBc2VjcmV0LXRva2Vu"),
        ("GET /p/EqoBc2VjcmV0LXRva2Vu 200", "EqoBc2VjcmV0LXRva2Vu"),
        ("GET /confirm/EqoBc2VjcmV0LXRva2Vu 200", "EqoBc2VjcmV0LXRva2Vu"),
        ("GET /c/EqoBc2VjcmV0LXRva2Vu/12 302", "EqoBc2VjcmV0LXRva2Vu"),
        ("GET /o/EqoBc2VjcmV0LXRva2Vu.gif 200", "EqoBc2VjcmV0LXRva2Vu"),
        ("GET /sign-in/link/AbCdEfGhIjKlMn 200", "AbCdEfGhIjKlMn"),
        ("POST /hooks/mailgun/AbCdEfGhIjKlMn 200", "AbCdEfGhIjKlMn"),
        ("cannot connect to smtp+starttls://desk:hunter2@mail.example.org:587", "hunter2"),
        ("cannot connect to postgresql+psycopg://news:p4ss@db/news", "p4ss"),
    ],
)
def test_no_line_holds_a_token_or_a_password(written, line, secret):
    log.info("%s", line)
    assert secret not in written.getvalue()
    assert "…" in written.getvalue()


def test_a_secret_in_a_traceback_is_hidden_too(written):
    try:
        raise OSError("smtp://desk:hunter2@mail.example.org refused")  # noqa: TRY301 - the point of the test
    except OSError:
        log.exception("it failed")
    assert "hunter2" not in written.getvalue()
    assert "OSError" in written.getvalue()


def test_ordinary_addresses_stay_readable(written):
    log.info("GET /n/weekly/12 from http://news.example.org:8000/about")
    assert "/n/weekly/12 from http://news.example.org:8000/about" in written.getvalue()


def test_json_lines_are_one_object_a_record():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup("json", stream=stream)
    try:
        log.warning("two\nlines")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["event"] == "two\nlines"
    assert record["level"] == "warning"
    assert record["logger"] == "newsletter.tests"
    assert record["at"].endswith("Z")
