"""Each rule of the linter, broken once."""

import pytest
from factories import editions as make

from newsletter.editions import compose
from newsletter.editions.linter import faults

GOOD = compose(make.week(), make.publication(), make.BASE_URL).html


def test_our_own_mail_is_clean():
    assert faults(GOOD) == ()


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("doctype", "<!DOCTYPE html>", "<!doctype html>"),
        ("end", "</html>\n", "</html>"),
        ("charset", '<meta charset="utf-8">', ""),
        ("title", "<title>The strait that nobody closed</title>", "<title> </title>"),
        ("conditional comments", "<!--[if mso]>", "<!--"),
        ("style size", "<style>:root", "<style>" + "x" * 9000),
        ("lang", '<html lang="en"', "<html"),
        ("dir", '<html lang="en" dir="ltr"', '<html lang="en"'),
        ("lang", 'closed" lang="en"', 'closed"'),
        ("article", 'role="article"', ""),
        ("layout table", 'class="sheet" role="presentation"', ""),
        ("alt", ' alt="A market street under awnings, seen from above"', ""),
        ("image width", 'width="200"', ""),
        ("image source", "https://pictures.meridian.example/1.jpg", "data:image/png;base64,x"),
        ("first heading", "<h1", "<h2"),
        ("heading order", "<h2", "<h4"),
        ("empty heading", ">Europe</h2>", "> </h2>"),
        ("link target", "https://news.meridian.example/n/meridian/42", "#top"),
        ("link name", ">View this issue in your browser</a>", "></a>"),
        ("link name", ">View this issue in your browser</a>", ">Read more…</a>"),
        ("element", "</body>", "<script></script></body>"),
        ("element", "</body>", "<form></form></body>"),
        ("css variable", "color:#1b1a18", "color:var(--ink)"),
        ("script", "<h1 ", '<h1 onclick="x()" '),
    ],
)
def test_a_breach_is_found(rule, old, new):
    assert old in GOOD
    assert rule in {fault.rule for fault in faults(GOOD.replace(old, new, 1))}
