"""The base that notices wear, with a message of the test's own."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from newsletter.editions import Identity
from newsletter.editions.inline import inlined
from newsletter.editions.letters import page
from newsletter.editions.linter import faults
from newsletter.editions.render import Renderer
from newsletter.editions.theme import styles
from newsletter.kit import assets

IDENTITY = Identity("The Meridian", website="https://www.meridian.example", postal_lines=("12 Harbour Lane", "Lisbon"))
HTML = """{% extends "email/notices/base.html" %}
{% from "email/blocks.html" import button %}
{% block message %}<h1>Hello</h1><p>{{ words }}</p>{{ button(url, "Confirm", identity) }}{% endblock %}
{% block why %}<p class="soft">Because you asked.</p>{% endblock %}
"""
TEXT = """{% extends "email/notices/base.txt" %}
{% block message %}{{ words | wrapped }}

{{ url }}{% endblock %}
{% block why %}Because you asked.{% endblock %}
"""


@pytest.fixture
def renderer(tmp_path):
    import shutil

    shutil.copytree(assets.templates() / "email", tmp_path / "email")
    folder = tmp_path / "email" / "notices" / "greeting"
    folder.mkdir()
    (folder / "body.html").write_text(HTML)
    (folder / "body.txt").write_text(TEXT)
    return Renderer(tmp_path)


FACTS = {
    "identity": IDENTITY,
    "styles": styles(IDENTITY.brand, "ltr"),
    "subject": "Hello",
    "preheader": "One step is left",
    "words": "It's <b>you</b> & me",
    "url": "https://news.meridian.example/confirm/x",
}


def test_a_notice_on_the_base_is_clean(renderer):
    html = inlined(renderer.render("email/notices/greeting/body.html", **FACTS).strip())
    assert faults(html) == ()
    tree = LexborHTMLParser(html)
    assert tree.css_first("td.letter p").text() == "It's <b>you</b> & me"
    assert "font:17px/1.6" in tree.css_first("td.letter").attributes["style"]
    assert "12 Harbour Lane" in tree.css_first("td.footer").text()


def test_its_text_wears_the_base_too(renderer):
    text = renderer.render("email/notices/greeting/body.txt", **FACTS)
    assert text.startswith("The Meridian\n============\n\nIt's <b>you</b> & me\n")
    assert text.endswith("Because you asked.\n\nThe Meridian\n12 Harbour Lane\nLisbon\n")


def test_an_identity_names_its_website_as_people_do():
    assert IDENTITY.website_name == "meridian.example"
    assert Identity("The desk").website_name == ""


def test_a_page_has_no_indentation_and_keeps_its_style_sheets():
    facts = {
        "subject": "",
        "title": "",
        "date": "",
        "iso_date": "",
        "summary": "",
        "number": 1,
        "note": (),
        "lead": None,
    }
    from newsletter.editions.sheet import Footer

    footer = Footer("", "https://a.example", "https://a.example/1", "", "", "")
    html = page("email/weekly/web.html", IDENTITY, {**facts, "groups": (), "footer": footer})
    assert "\n " not in html
    assert html.count("<style>") == 2
