import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.articles.canonical import MAX_KEY, canonical, headline_key, is_web_address, short, url_key

PIECES = st.lists(
    st.sampled_from([*"aB0é/..?&=#[]@:;\\ ß\u3002İ\ud800%", "utm_x=1", "%2F", "%2e%2e", "www.", "index.html", "xn--"]),
    max_size=12,
).map("".join)
ADDRESSES = st.one_of(
    st.text(), st.builds("".join, st.tuples(st.sampled_from(["http://", "https://", "HTTP:", ""]), PIECES, PIECES))
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://Meridian.EXAMPLE:443/a/../b/./c", "https://meridian.example/b/c"),
        ("http://meridian.example:80", "http://meridian.example/"),
        ("http://meridian.example:8080/x", "http://meridian.example:8080/x"),
        ("https://meridian.example/x?utm_source=a&id=3&fbclid=9&mc_cid=1#comments", "https://meridian.example/x?id=3"),
        ("https://meridian.example/x?b=2&a=1", "https://meridian.example/x?b=2&a=1"),
        ("https://meridian.example/x?UTM_Medium=a&%75tm_id=2", "https://meridian.example/x"),
        ("https://meridian.example/%7ejo/caf%c3%a9 é", "https://meridian.example/~jo/caf%C3%A9%20%C3%A9"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://jo:secret@meridian.example/x", "https://meridian.example/x"),
        ("https://meridian.example./x", "https://meridian.example/x"),
        ("https://meridian.example/#!/story/3", "https://meridian.example/#!/story/3"),
        ("  https://meridian.example/x\n", "https://meridian.example/x"),
    ],
)
def test_an_address_is_tidied(url, expected):
    assert canonical(url) == expected


@pytest.mark.parametrize(
    "url", ["", "not an address", "javascript:alert(1)", "http://[::1", "http://x:99999/", "//a/b"]
)
def test_what_is_no_web_address_comes_back_as_it_is(url):
    assert canonical(url) == url
    assert not is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://meridian.example/2026/treaty",
        "https://www.meridian.example/2026/treaty/",
        "https://meridian.example/2026/treaty/index.html",
        "https://meridian.example/2026/treaty?utm_source=rss",
        "HTTPS://MERIDIAN.example:443/2026/treaty#top",
    ],
)
def test_spellings_of_one_page_have_one_key(url):
    assert url_key(url) == "meridian.example/2026/treaty"


@pytest.mark.parametrize(
    "other",
    [
        "https://meridian.example/2026/treaty-2",
        "https://meridian.example/2026/Treaty",
        "https://meridian.example/2026/treaty?page=2",
        "https://blog.meridian.example/2026/treaty",
        "https://meridian.example:8443/2026/treaty",
    ],
)
def test_different_pages_have_different_keys(other):
    assert url_key(other) != url_key("https://meridian.example/2026/treaty")


@given(ADDRESSES)
@example("HTTP://.")
@example("HTTP://0。")
@example("http://a/\ud800")
def test_canonical_is_idempotent_and_never_raises(url):
    once = canonical(url)
    assert canonical(once) == once
    assert url_key(url) == url_key(once)
    assert is_web_address(url) == is_web_address(once)


@given(ADDRESSES)
def test_a_key_fits_its_index(url):
    assert len(url_key(url * 50).encode("ascii")) <= MAX_KEY


@given(st.text())
def test_a_headline_key_ignores_case_and_punctuation_and_never_raises(headline):
    key = headline_key(headline)
    assert key == " ".join(key.split())
    assert headline_key(f"“{headline}”!") == key


def test_headlines_that_read_alike_have_one_key():
    assert headline_key("The minister’s “no”: What now?") == headline_key("the ministers no - what now")
    assert headline_key("Treaty signed") != headline_key("Treaty not signed")


def test_a_long_key_is_cut_without_losing_what_tells_it_apart():
    one, other = short("é" * 2000 + "1"), short("é" * 2000 + "2")
    assert one != other
    assert len(one.encode()) <= MAX_KEY
