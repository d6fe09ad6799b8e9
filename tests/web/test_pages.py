"""Every page, with everything on it and with nothing on it."""

import re

import pytest
from factories.publications import publication
from factories.web import html, problems, signed_in

from newsletter.staff import Role


def test_every_page_shows_a_full_week_to_every_role(app, database, week):
    for role in Role:
        person = signed_in(app, database, role)
        for path in week.pages():
            page = person.get(path)
            assert page.status_code in (200, 403), f"{path}: {page.status_code}"
            assert not problems(page)
            if role in (Role.ADMIN, Role.EDITOR):
                assert page.status_code == 200, path


def test_every_page_of_an_empty_newsletter_says_what_comes_next(admin, database):
    with database.transaction() as session:
        publication(session, "empty")
    for path in ("", "/stories", "/readers"):
        page = admin.get(f"/studio/newsletters/empty{path}")
        assert page.status_code == 200
        assert html(page).css_first(".empty") is not None
    assert admin.get("/n/empty").status_code == 200
    assert admin.get("/n/empty/feed.xml").status_code == 200


def test_every_link_on_every_page_leads_somewhere(admin, week):
    seen, waiting = set(), week.pages()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = admin.follow(admin.get(path))
        assert page.status_code == 200, path
        if not page.headers["content-type"].startswith("text/html"):
            continue
        for node in html(page).css("a, iframe, link"):
            target = (node.attributes.get("href") or node.attributes.get("src") or "").split("#")[0]
            if target.startswith("?"):
                target = path.split("?")[0] + target
            if target.startswith("/") and not target.startswith("/n/"):
                waiting.append(target)
    assert len(seen) > 20


def test_pages_have_a_heading_labels_and_ids_that_are_their_own(admin, week):
    for path in week.pages():
        tree = html(admin.get(path))
        assert len(tree.css("h1")) == 1, path
        ids = [node.attributes["id"] for node in tree.css("[id]")]
        assert len(ids) == len(set(ids)), f"{path}: {sorted(one for one in ids if ids.count(one) > 1)}"
        labelled = {label.attributes.get("for") for label in tree.css("label")}
        for field in tree.css("input, select, textarea"):
            kind = field.attributes.get("type")
            if kind == "hidden" or field.attributes.get("aria-hidden") == "true" or field.parent.tag == "label":
                continue
            assert field.attributes.get("id") in labelled, f"{path}: {field.html}"
        for node in tree.css("[aria-describedby], [aria-labelledby]"):
            for name in ("aria-describedby", "aria-labelledby"):
                assert set((node.attributes.get(name) or "").split()) <= set(ids), f"{path}: {node.html[:200]}"


def test_every_form_that_changes_something_carries_a_token(admin, week):
    for path in week.pages():
        for form in html(admin.get(path)).css('form[method="post"]'):
            assert form.css_first('input[name="form_token"]'), f"{path}: {form.attributes['action']}"


@pytest.mark.parametrize("name", ["__", "None", "Undefined", "object at 0x"])
def test_no_page_shows_the_insides(admin, week, name):
    for path in week.pages():
        text = re.sub(r'(value|action|content|src)="[^"]*"', "", admin.get(path).text)
        assert name not in text, path
