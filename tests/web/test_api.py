import json

import pytest
from factories.web import signed_in

from newsletter.staff import Role

READS = [
    "/api/v1/publications",
    "/api/v1/publications/meridian",
    "/api/v1/publications/meridian/issues",
    "/api/v1/issues/1",
    "/api/v1/issues/1/report",
    "/api/v1/sends/1",
]


@pytest.mark.parametrize("path", READS)
def test_it_is_for_whoever_has_signed_in(visitor, viewer, week, path):
    assert visitor.get(path).status_code == 401
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", READS)
def test_it_only_reads(admin, week, path):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert admin.client.request(method, path).status_code == 405


def test_an_issue_is_shown_with_its_stories(viewer, week):
    issue = viewer.get(f"/api/v1/issues/{week.draft}").json()
    assert issue["subject"] == "Grain, guns and a commission"
    assert issue["stories"] == sum(len(section["stories"]) for section in issue["sections"])


def test_a_send_is_its_flat_figures(viewer, week):
    send = viewer.get(f"/api/v1/sends/{week.send}").json()
    states = ("pending", "claimed", "sending", "accepted", "deferred", "refused", "uncertain", "skipped")
    assert send["audience"] == sum(send[state] for state in states) == 12


def test_lists_are_cut_into_pages(viewer, week):
    first = viewer.get("/api/v1/publications/meridian/issues?limit=1").json()
    second = viewer.get(f"/api/v1/publications/meridian/issues?limit=1&after={first['next_after']}").json()
    assert [issue["number"] for issue in (*first["issues"], *second["issues"])] == [2, 1]
    assert second["next_after"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=10000", "limit=x", "after=-1"])
def test_nonsense_is_an_error_in_json(viewer, week, query):
    answer = viewer.get(f"/api/v1/publications/meridian/issues?{query}")
    assert answer.status_code in (404, 422)
    assert set(answer.json()) <= {"error", "field"}


def test_no_reader_appears_in_it(app, database, week):
    viewer = signed_in(app, database, Role.VIEWER)
    assert "@" not in json.dumps([viewer.get(path).json() for path in READS]).replace("editor@meridian.example", "")


def test_it_is_described(visitor):
    document = visitor.get("/api/openapi.json").json()
    paths = {path: sorted(methods) for path, methods in document["paths"].items()}
    assert all(path.startswith("/api/v1/") for path in paths)
    assert all(methods == ["get"] for methods in paths.values())
    assert len(paths) == len(READS)
