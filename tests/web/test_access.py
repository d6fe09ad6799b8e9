"""Every route says who may call it, and means it (threats T13, T16, T17)."""

import itertools

import pytest
from factories.web import Person, signed_in
from fastapi.routing import APIRoute

from newsletter.staff import Role
from newsletter.web import access
from newsletter.web.app import ROUTERS

ROUTES = [route for router in ROUTERS for route in router.routes]
PLAIN = {
    "/api/openapi.json",
    "/static/{name}",
    "/c/{token}/{n:int}",
    "/o/{token}.gif",
}  # for everybody, and they only read
FOR_EVERYBODY = ("/n/", "/confirm/", "/u/", "/p/", "/sign-in", "/healthz", "/readyz", "/metrics")
ORDER = [Role.VIEWER, Role.WRITER, Role.EDITOR, Role.ADMIN]


def declared(route: APIRoute):
    """The one dependency that says who may call, or None."""
    found = [
        dependency.call
        for dependency in route.dependant.dependencies
        if dependency.call in (access.anyone, access.link_holder) or isinstance(dependency.call, access.Require)
    ]
    assert len(found) == 1, f"{route.path} must declare who may call it, once"
    return found[0]


def needing_a_role():
    return [(route, declared(route).role) for route in ROUTES if isinstance(declared(route), access.Require)]


def path_of(route: APIRoute) -> str:
    """An address of the route; ids that do not exist will do, since access is judged first."""
    path = route.path
    for name in route.param_convertors:
        for written in (f"{{{name}:int}}", f"{{{name}}}"):
            path = path.replace(written, "1")
    return path


def test_the_application_has_no_route_that_these_tests_do_not_walk(app):
    included = [router for router in app.router.routes if getattr(router, "path", None) is None]
    assert len(included) == len(ROUTERS)
    assert {route.path for route in app.router.routes if getattr(route, "path", None)} == PLAIN


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{sorted(route.methods)} {route.path}")
def test_every_route_declares_who_may_call_it_and_either_shows_or_does(route):
    caller = declared(route)
    if route.path == "/":
        return
    assert isinstance(caller, access.Require) is not route.path.startswith(FOR_EVERYBODY)
    assert route.methods in ({"GET", "HEAD"}, {"POST"}) or (route.methods == {"GET"} and route.path.startswith("/api/"))


@pytest.mark.parametrize(("route", "role"), needing_a_role(), ids=lambda value: getattr(value, "path", str(value)))
def test_nobody_gets_in_without_signing_in(visitor, route, role):
    for method, spelling in itertools.product(route.methods, (path_of(route), path_of(route) + "/")):
        response = visitor.client.request(method, spelling)
        if spelling.endswith("/"):
            assert response.status_code in (303, 307, 401, 404)
            assert response.status_code != 307 or response.headers["location"].endswith(path_of(route))
        elif route.path.startswith("/api/") or method == "POST":
            assert response.status_code == 401
        else:
            assert response.status_code == 303
            assert response.headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize(("route", "role"), needing_a_role(), ids=lambda value: getattr(value, "path", str(value)))
def test_a_lower_role_is_refused(app, database, route, role):
    lower = ORDER[: ORDER.index(role)]
    for each in lower[-1:]:
        person = signed_in(app, database, each)
        method = "POST" if "POST" in route.methods else "GET"
        response = person.client.request(method, path_of(route), data={"form_token": _token(person)})
        assert response.status_code == 403
        assert f"role of {role}" in response.text


@pytest.mark.parametrize(
    "route", [route for route, _ in needing_a_role() if "POST" in route.methods], ids=lambda route: route.path
)
def test_no_form_counts_without_its_token_or_from_another_site(admin, app, database, route):
    path, token = path_of(route), _token(admin)
    strangers = _token(signed_in(app, database, Role.VIEWER))
    for sent, headers in (
        ("", {}),
        ("0" * 64, {}),
        (strangers, {}),
        (token, {"sec-fetch-site": "cross-site"}),
        (token, {"origin": "http://evil.example"}),
    ):
        assert admin.client.post(path, data={"form_token": sent}, headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_do_nothing(admin, method):
    for path in ("/studio", "/studio/issues/1/approve", "/u/none", "/c/none/1"):
        assert admin.client.request(method, path).status_code in (404, 405)


def test_the_method_cannot_be_smuggled_in(visitor):
    response = visitor.client.post("/healthz", headers={"x-http-method-override": "GET"})
    assert response.status_code == 405
    assert visitor.get("/sign-out?_method=POST").status_code in (404, 405)


@pytest.mark.parametrize("path", ["/Studio", "/STUDIO/trail", "//studio", "/studio/..", "/./studio", "/studio%2ftrail"])
def test_no_other_spelling_of_a_path_opens_the_studio(visitor, path):
    response = visitor.client.get(path)
    assert response.status_code in (303, 307, 404)
    assert "Sign out" not in response.text


def _token(person: Person) -> str:
    page = person.get("/studio/account").text
    return page.split('name="form_token" value="')[1].split('"')[0]
