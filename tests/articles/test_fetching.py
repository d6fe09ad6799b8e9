import gzip
import socket
import time
import zlib

import pytest
from factories.articles import ALLOW, FeedServer
from factories.certificates import self_signed

from newsletter.articles.fetching import MAX_BYTES, Fetched, fetch
from newsletter.errors import FetchError, UnsafeAddress


def get(url: str, **more) -> Fetched:
    return fetch(url, allow=ALLOW, **more)


def problem(url: str, **more) -> str:
    """The sentence that an editor is shown."""
    with pytest.raises(FetchError) as failure:
        get(url, **more)
    return failure.value.message


def test_a_body_comes_with_what_is_needed_to_ask_again(server):
    url = server.serve(
        "/feed", "<rss/>", content_type="text/xml", ETag='"7"', Last_Modified="Fri, 20 Nov 2026 15:00:00 GMT"
    )
    fetched = get(url)
    assert fetched.body == b"<rss/>"
    assert (fetched.url, fetched.permanent_url, fetched.not_modified) == (url, url, False)
    assert (fetched.content_type, fetched.etag) == ("text/xml", '"7"')
    assert fetched.last_modified == "Fri, 20 Nov 2026 15:00:00 GMT"


def test_the_product_names_itself_and_sends_nothing_else_of_interest(server):
    get(server.serve("/feed", "x"))
    ((_, headers),) = server.requests
    assert headers["user-agent"].startswith("newsletter/")
    assert "gzip" in headers["accept-encoding"]
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert not headers.keys() & {"cookie", "authorization", "referer", "if-none-match", "if-modified-since"}


def test_a_second_request_is_conditional_and_costs_no_body(server):
    url = server.serve("/feed", "<rss/>", ETag='"7"')
    again = get(url, etag='"7"', last_modified="Fri, 20 Nov 2026 15:00:00 GMT")
    assert again.not_modified
    assert again.body == b""
    headers = server.requests[-1][1]
    assert (headers["if-none-match"], headers["if-modified-since"]) == ('"7"', "Fri, 20 Nov 2026 15:00:00 GMT")


def test_an_etag_that_cannot_be_sent_back_is_not_kept(server):
    assert get(server.serve("/long", "x", ETag='"' + "e" * 600 + '"')).etag == ""
    assert get(server.serve("/odd", "x", ETag='"é"')).etag == ""


@pytest.mark.parametrize(("coding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_unpacked(server, coding, packed):
    assert get(server.serve("/feed", packed(b"<rss/>"), Content_Encoding=coding)).body == b"<rss/>"


def test_a_compressed_body_that_is_garbage_is_a_clear_problem(server):
    url = server.serve("/feed", b"no gzip at all", Content_Encoding="gzip")
    assert problem(url) == f"127.0.0.1:{server.port} broke off or garbled its answer; it will be tried again."


def test_a_body_of_the_greatest_size_is_taken_and_a_longer_one_is_not(server):
    assert len(get(server.serve("/just", b"x" * MAX_BYTES)).body) == MAX_BYTES
    assert "more than 5 MB" in problem(server.serve("/more", b"x" * (MAX_BYTES + 1)))


def test_a_huge_feed_is_not_read_to_its_end(server):
    written = []

    def pour(request):
        request.send_response(200)
        request.end_headers()
        for _ in range(20):
            request.wfile.write(b"x" * 1_000_000)
            written.append(1_000_000)

    assert "give a feed with fewer stories" in problem(server.run("/feed", pour))
    assert sum(written) < 20_000_000


def test_a_gzip_bomb_is_stopped_at_the_limit(server):
    bomb = gzip.compress(gzip.compress(bytes(300_000_000), 1), 1)
    assert len(bomb) < 100_000
    assert "more than 5 MB" in problem(server.serve("/feed", bomb, Content_Encoding="gzip, gzip"))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "has nothing there (404); check the address"),
        (410, "gone for good (410); remove the source"),
        (401, "asks for a login"),
        (403, "refuses to show it"),
        (429, "asked too often"),
        (418, "answers with HTTP 418"),
        (500, "has a fault of its own (HTTP 500); it will be tried again"),
        (503, "HTTP 503"),
    ],
)
def test_a_refusal_says_what_to_do(server, status, words):
    assert words in problem(server.serve("/feed", "no", status=status))


def test_a_refused_connection_is_a_clear_problem():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port, nobody answers
        port = taken.getsockname()[1]
        assert problem(f"http://127.0.0.1:{port}/") == (
            f"127.0.0.1:{port} refuses the connection; the server may be down and will be tried again."
        )


def test_a_dead_host_is_a_clear_problem():
    assert "The name feeds.invalid was not found" in problem("http://feeds.invalid/rss")


@pytest.mark.parametrize("drip", ["headers", "body"])
def test_a_slow_server_is_left_at_the_deadline(server, drip):
    def dawdle(request):
        if drip == "body":
            request.send_response(200)
            request.end_headers()
        for _ in range(100):
            request.wfile.write(b"HTTP"[:1])
            request.wfile.flush()
            time.sleep(0.05)

    began = time.monotonic()
    assert "took longer than 1 seconds" in problem(server.run("/feed", dawdle), seconds=0.6)
    assert time.monotonic() - began < 3


def test_a_server_that_hangs_up_is_a_clear_problem(server):
    def hang_up(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    assert "broke off" in problem(server.run("/feed", hang_up))


def test_redirects_are_followed_and_only_lasting_ones_remembered(server):
    server.serve("/old", status=301, Location="/new")
    server.serve("/new", status=308, Location=server.url("/newer"))
    server.serve("/newer", status=302, Location="/today")
    server.serve("/today", "<rss/>")
    fetched = get(server.url("/old"))
    assert fetched.body == b"<rss/>"
    assert fetched.url == server.url("/today")
    assert fetched.permanent_url == server.url("/newer")


def test_a_redirect_that_lasts_behind_one_that_does_not_is_not_remembered(server):
    server.serve("/old", status=302, Location="/new")
    server.serve("/new", status=301, Location="/newer")
    server.serve("/newer", "<rss/>")
    assert get(server.url("/old")).permanent_url == server.url("/old")


def test_a_redirect_loop_is_noticed(server):
    server.serve("/a", status=302, Location="/b")
    server.serve("/b", status=302, Location="/a")
    assert "redirects in a circle" in problem(server.url("/a"))


def test_redirects_come_to_an_end(server):
    for n in range(10):
        server.serve(f"/{n}", status=302, Location=f"/{n + 1}")
    assert "redirects more than 5 times" in problem(server.url("/0"))
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/private",
        "http://127.0.0.2/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
    ],
)
def test_a_redirect_into_the_network_is_refused(server, location):
    """Only the name is allowed here, not the address it has: the redirect gains nothing by it."""
    server.serve("/private", "secret")
    server.serve("/feed", status=302, Location=location.format(port=server.port))
    with pytest.raises(UnsafeAddress, match="private network"):
        fetch(f"http://localhost:{server.port}/feed", allow=("localhost",))
    assert [path for path, _ in server.requests] == ["/feed"]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://meridian.example/", "gopher://127.0.0.1:25/x"])
def test_a_redirect_to_something_else_than_http_is_refused(server, location):
    assert "must start with http:// or https://" in problem(server.serve("/feed", status=302, Location=location))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example/", "data:text/xml,x", "", "no address"])
def test_only_http_is_spoken(url):
    with pytest.raises(UnsafeAddress):
        get(url)


def test_credentials_are_never_sent(server):
    url = server.serve("/feed", "x").replace("//", "//jo:secret@")
    assert problem(url) == "The address at 127.0.0.1 holds a user name or password; remove it."
    server.serve("/other", status=302, Location=url)
    assert "remove it" in problem(server.url("/other"))
    assert [path for path, _ in server.requests] == ["/other"]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://a b.example/", "http://" + "x" * 70 + ".example/", "http://x:99999/"]
)
def test_a_malformed_address_is_a_clear_problem(url):
    assert problem(url)


def test_loopback_is_refused_unless_it_is_allowed(server):
    server.serve("/feed", "x")
    with pytest.raises(UnsafeAddress, match=r"add 127\.0\.0\.1 to NEWSLETTER_FETCH_ALLOW"):
        fetch(server.url("/feed"), allow=())
    assert server.requests == []


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert get(server.serve("/feed", "x")).body == b"x"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    with FeedServer(self_signed(tmp_path, "localhost")) as secure:
        assert problem(secure.serve("/feed", "x")).startswith(
            f"The certificate of 127.0.0.1:{secure.port} is not valid"
        )


def test_a_certificate_is_checked_against_the_name_not_the_address(tmp_path, monkeypatch):
    certificate = self_signed(tmp_path, "feeds.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    real = socket.getaddrinfo

    def to_us(host, *rest, **more):
        return real("127.0.0.1" if host.endswith(".example") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", to_us)
    with FeedServer(certificate) as secure:
        secure.serve("/feed", "over TLS")
        assert get(f"https://feeds.example:{secure.port}/feed").body == b"over TLS"
        assert secure.requests[-1][1]["host"] == f"feeds.example:{secure.port}"
        assert "certificate of other.example" in problem(f"https://other.example:{secure.port}/feed")


def test_a_server_that_speaks_no_tls_is_a_clear_problem(server):
    assert "No secure connection" in problem(server.serve("/feed", "x").replace("http:", "https:"))
