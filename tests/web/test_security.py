import pytest
from factories.web import BASE, Person, html
from starlette.requests import Request

from newsletter import config
from newsletter.web import security
from newsletter.web.app import create_app


def _request(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": BASE}, False),
        ({"origin": BASE}, True),
        ({"origin": "http://localhost:8000", "host": "localhost:8000"}, True),
        ({"origin": "http://evil.example", "host": "news.example.test"}, False),
        ({"origin": "http://news.example.test.evil.example"}, False),
        ({"origin": "null"}, True),
        ({}, True),
    ],
)
def test_a_form_is_ours_by_where_the_browser_says_it_came_from(headers, ours):
    assert security.is_ours(_request(**headers), base_url=BASE, token="t", expected="t") is ours


def test_a_form_is_never_ours_with_the_wrong_token():
    request = _request(sec_fetch_site="same-origin")
    assert not security.is_ours(request, base_url=BASE, token="", expected="t")
    assert not security.is_ours(request, base_url=BASE, token="ü", expected="t")


def test_a_token_belongs_to_one_session():
    secret = b"x" * 32
    assert security.form_token(secret, "one") != security.form_token(secret, "other")
    assert security.form_token(secret, "one") != security.form_token(b"y" * 32, "one")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil",
        "",
        "/\r\nSet-Cookie: a=b",
        "/\t/evil.example",
    ],
)
def test_only_a_path_of_this_server_is_gone_to(path):
    assert security.local_path(path, "/studio") == "/studio"


def test_a_path_of_this_server_is_kept():
    assert security.local_path("/studio/issues/3?x=1#story-2", "/studio") == "/studio/issues/3?x=1#story-2"


PAGES = [
    "/sign-in",
    "/n/none",
    "/u/none",
    "/healthz",
    "/api/v1/publications",
    "/static/none",
    "/c/none/1",
    "/o/none.gif",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_response_carries_the_headers(visitor, path):
    response = visitor.get(path)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in response.headers["permissions-policy"]
    assert "server" not in response.headers


@pytest.mark.parametrize("path", ["/u/none", "/p/none", "/confirm/none", "/sign-in/link/none"])
def test_pages_whose_address_holds_a_token_send_no_referrer_and_are_not_kept(visitor, path):
    response = visitor.get(path)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-robots-tag"] == "noindex"


def test_pages_of_the_studio_are_not_kept(admin):
    for path in ("/studio", "/studio/trail", "/api/v1/publications"):
        assert admin.get(path).headers["cache-control"] == "no-store"


def test_cookies_cannot_be_read_by_scripts_nor_carried_by_other_sites(visitor):
    cookie = visitor.get("/sign-in").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_over_https_cookies_are_bound_to_the_host_and_the_browser_is_told_to_stay(settings, database):
    secure = config.load(**{**settings.model_dump(), "base_url": "https://news.example.test"})
    response = Person(create_app(secure, database)).get("/sign-in")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-newsletter-")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    assert response.headers["strict-transport-security"].startswith("max-age=")
    assert "http:" not in response.headers["content-security-policy"]


def test_a_forged_host_appears_in_no_page(visitor):
    for path in ("/sign-in", "/", "/studio", "/none"):
        response = visitor.get(path, host="evil.example", **{"x-forwarded-host": "evil.example"})
        assert "evil.example" not in response.text + str(response.headers)


def test_pages_hold_no_inline_script_style_or_handler(admin):
    page = html(admin.get("/studio"))
    assert not page.css("script:not([src]), style, [style], [onclick], [onload], [onerror], [onsubmit]")
