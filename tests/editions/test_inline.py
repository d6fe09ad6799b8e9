"""Each trap of premailer that inline.py closes."""

import pytest

from newsletter.editions.inline import inlined

KEPT = """<style data-premailer="ignore">
@font-face { font-family: X; src: url(x.woff2); }
@media (prefers-color-scheme: dark) { .a { color: #fff !important; } }
@supports (display: grid) { .a { color: rgb(0 0 0 / 50%); } }
[data-ogsc] .a { color: #eee !important; }
u + .body .a { color: red !important; }
</style>"""


def document(body="", css="", head=KEPT):
    return f"<!DOCTYPE html>\n<html><head><style>{css}</style>{head}</head><body>{body}</body></html>"


def test_rules_become_style_attributes():
    assert '<p class="a" style="color:#111">x</p>' in inlined(document('<p class="a">x</p>', ".a { color: #111; }"))


def test_the_doctype_stays_and_the_document_ends_with_html():
    out = inlined(document())
    assert out.startswith("<!DOCTYPE html>\n<html>")
    assert out.endswith("</html>\n")


def test_what_is_kept_is_kept_byte_for_byte():
    assert KEPT.replace(' data-premailer="ignore"', "") in inlined(
        document('<p class="a">x</p>', ".a { color: #111; }")
    )


def test_important_is_kept_in_what_is_inlined():
    assert "color:#111 !important" in inlined(document('<p class="a">x</p>', ".a { color: #111 !important; }"))


def test_css_that_the_parser_does_not_know_is_kept():
    css = ".a { overflow-wrap: anywhere; mso-hide: all; max-width: min(100%, 600px); }"
    out = inlined(document('<p class="a">x</p>', css))
    for declaration in ("overflow-wrap:anywhere", "mso-hide:all", "min(100%,600px)"):
        assert declaration in out


def test_no_attribute_is_invented():
    css = "img { width: 100%; height: auto; } td { text-align: center; vertical-align: top; width: 50px; }"
    out = inlined(document('<table><tr><td><img src="https://a.example/b" alt="" width="5"></td></tr></table>', css))
    assert 'height="auto"' not in out
    assert 'width="5"' in out
    assert "align=" not in out.replace("text-align", "").replace("vertical-align", "")


@pytest.mark.parametrize(
    "token", ["zq0123456789ab000qz", "@@UNSUBSCRIBE@@", "https://a.example/c/zq0123456789ab001qz/3?x=%7B&amp;y=1"]
)
def test_addresses_and_marks_come_through(token):
    out = inlined(document(f'<a href="{token}">{token}</a><img src="{token}" alt="">'))
    assert out.count(token) == 3


def test_conditional_comments_come_through():
    comments = (
        '<!--[if mso]><table role="presentation"><tr><td style="color: red; width: 5px"><![endif]-->'
        "<!--[if !mso]><!--><b>x</b><!--<![endif]-->"
    )
    assert comments in inlined(document(comments))


def test_nothing_is_fetched_or_read(tmp_path):
    secret = tmp_path / "secret.css"
    secret.write_text("p { color: red }")
    links = f'<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><link rel="stylesheet" href="{secret}">'
    assert "red" not in inlined(document("<p>x</p>", head=links))


def test_words_that_look_like_styles_are_left_alone():
    words = 'he wrote style="a; b, c" and \'style="d; e"\' there'
    assert words in inlined(document(f"<p>{words}</p>"))
    alt = "style='a; b, c'"
    assert alt in inlined(document(f'<img src="https://a.example/b" alt="{alt}">'))


def test_a_nested_rule_in_what_is_kept_does_no_harm():
    nested = '<style data-premailer="ignore">@media (x) { @media (y) { .a { color: red } } }</style>'
    assert "@media (x) { @media (y) { .a { color: red } } }" in inlined(document(head=nested))


def test_it_works_from_several_threads():
    from concurrent.futures import ThreadPoolExecutor

    sources = [document(f'<p class="a{n}">x</p>', f".a{n} {{ color: #12345{n}; }}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for n, out in enumerate(pool.map(inlined, sources)):
            assert f"color:#12345{n}" in out
