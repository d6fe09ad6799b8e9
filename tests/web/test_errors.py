import logging

import pytest
from factories.publications import publication
from factories.web import words
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from newsletter.errors import TransportError
from newsletter.web import errors
from newsletter.web.app import create_app


def failing(settings, database, error: Exception) -> TestClient:
    """An application one page of which fails."""
    app = create_app(settings, database)

    def fail() -> None:
        raise error

    for path in ("/broken", "/studio/broken", "/api/v1/broken"):
        app.add_api_route(path, fail)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/nothing", "/studio/nothing", "/n/weekly/abc", "/studio/issues/abc"])
def test_what_does_not_exist_is_a_page_that_says_so(visitor, path):
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no page at this address." in words(answer)


def test_programs_get_json(visitor, admin):
    answer = visitor.get("/api/v1/publications")
    assert answer.status_code == 401
    assert answer.json() == {"error": "Sign in first."}
    assert admin.get("/api/v1/issues/99").json() == {"error": "There is no issue with the id 99."}


@pytest.mark.parametrize("path", ["/broken", "/studio/broken", "/api/v1/broken"])
def test_a_failure_tells_nothing_of_the_inside(settings, database, path, caplog):
    answer = failing(settings, database, RuntimeError("secret detail")).get(path)
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert "went wrong on our side" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_a_database_that_is_away_is_said_in_one_sentence(settings, database):
    error = OperationalError("SELECT 1 FROM secrets", {}, Exception("connection refused"))
    answer = failing(settings, database, error).get("/broken")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "SELECT" not in answer.text


def test_an_error_of_ours_is_its_sentence_and_is_logged_if_no_person_caused_it(settings, database, caplog):
    with caplog.at_level(logging.WARNING):
        answer = failing(settings, database, TransportError("The relay hung up.")).get("/broken")
    assert "The relay hung up." in words(answer)
    assert "TransportError: The relay hung up." in caplog.text


def test_the_wrong_method_is_a_page(visitor):
    answer = visitor.client.post("/studio")
    assert answer.status_code == 405
    assert "does not take that kind of request" in words(answer)


def test_a_body_that_is_too_large_is_refused(visitor):
    answer = visitor.client.post("/sign-in", content=b"x" * 2_000_000, headers={"content-type": "text/plain"})
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [{"email": "a\0b", "password": "x"}, {"email": "x" * 200_000, "password": "x"}])
def test_what_cannot_be_stored_is_refused_with_a_sentence(visitor, body):
    visitor.get("/sign-in")
    answer = visitor.client.post("/sign-in", data=body)
    assert answer.status_code == 422


BIG = "9" * 15
HUGE = "9" * 30
ODD = [
    *("/n/%00", "/studio/newsletters/%00", "/n/weekly?after=%00", "/n/weekly?after=-1", "/n/weekly?after=x"),
    *(f"/n/weekly/{number}" for number in (BIG, HUGE, "-1", "0", "%C2%B2", "1e3")),
    *(f"/studio/issues/{number}" for number in (BIG, HUGE, "0", "%C2%B2")),
    *(f"/api/v1/issues/{number}" for number in (BIG, HUGE, "0", "x")),
    *(f"/n/weekly?after={number}" for number in (BIG, HUGE)),
    *(f"/studio?after={number}" for number in (HUGE, "%C2%B2")),
    *(f"/studio/sends/1/recipients?state=accepted&after={number}" for number in (BIG, HUGE)),
    f"/api/v1/publications/weekly/issues?after={HUGE}",
    "/n/%ff%fe",
    "/u/%ff%fe%00",
    "/studio/trail?subject=%00",
]


@pytest.mark.parametrize("path", ODD)
def test_odd_addresses_are_no_failure(admin, database, path):
    with database.transaction() as session:
        publication(session, "weekly")
    assert admin.get(path).status_code in (404, 422)


def test_files_are_not_taken(visitor):
    visitor.get("/sign-in")
    answer = visitor.client.post("/sign-in", files={"email": ("a.txt", b"x" * 10)})
    assert answer.status_code == 400


def test_every_status_has_words():
    assert all(sentence.endswith(".") for sentence in errors.SENTENCES.values())
