import pytest
from starlette.testclient import TestClient

from newsletter.db import Database
from newsletter.errors import Refused
from newsletter.web.app import create_app


def test_the_process_is_up_without_any_database(settings, tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'none.db'}")
    client = TestClient(create_app(settings, database))
    assert client.get("/healthz").text == "ok\n"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert "does not answer" in answer.json()["problems"][0]
    database.dispose()


def test_it_is_ready_when_the_database_answers(visitor):
    answer = visitor.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "problems": []}


def test_it_is_not_ready_while_the_tables_are_of_another_version(settings, database):
    def behind(_database):
        raise Refused("The database is at revision 0001 and this version needs 0002.")

    answer = TestClient(create_app(settings, database, require_ready=behind)).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["The database is at revision 0001 and this version needs 0002."]


@pytest.fixture
def near(app):
    return TestClient(app, client=("127.0.0.1", 50000))


def test_what_is_counted_names_routes_and_no_tokens(near):
    near.get("/u/a-secret-token")
    near.get("/n/weekly")
    text = near.get("/metrics").text
    assert 'newsletter_http_requests_total{method="GET",route="/u/{token}",status="404"} 1.0' in text
    assert "a-secret-token" not in text
    assert 'newsletter_sends{state="sending"} 0.0' in text
    assert 'newsletter_live_deliveries{state="uncertain"} 0.0' in text


@pytest.mark.parametrize(
    ("host", "headers"),
    [("93.184.216.34", {}), ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}), ("127.0.0.1", {"forwarded": "for=x"})],
)
def test_figures_are_for_the_local_network_only(app, host, headers):
    assert TestClient(app, client=(host, 1)).get("/metrics", headers=headers).status_code == 404


def test_an_unknown_method_makes_no_new_label(near):
    for method in ("FOO", "BAR"):
        near.request(method, "/healthz")
    text = near.get("/metrics").text
    assert 'method="other"' in text
    assert "FOO" not in text
