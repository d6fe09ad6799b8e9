import pytest
from factories.issues import NOW, article
from factories.web import html, problems, signed_in, words

from newsletter import editions, issues, staff
from newsletter.articles import Article
from newsletter.issues import IssueState
from newsletter.staff import Role


def issue(database, week):
    with database.read() as session:
        return issues.get(session, week.draft)


def story(database, week, headline):
    return next(one for one in issue(database, week).placements if one.headline == headline)


@pytest.fixture
def path(week):
    return f"/studio/issues/{week.draft}"


def press(person, path, action, **typed):
    return person.follow(person.press(person.get(path), path + action, **typed))


def test_the_draft_shows_its_stories_by_section(writer, path):
    page = writer.get(path)
    for text in ("Grain, guns and a commission", "Who owns a lithium town?", "Too late for this week", "draft"):
        assert text in words(page) or text in page.text


def test_a_viewer_can_look_and_change_nothing(viewer, path):
    page = html(viewer.get(path))
    assert [form.attributes["action"] for form in page.css('form[method="post"]')] == ["/sign-out", f"{path}/words"]
    assert "disabled" in page.css_first(f'form[action="{path}/words"] fieldset').attributes


def test_words_are_saved(writer, path, database, week):
    before = issue(database, week).version
    page = press(writer, path, "/words", subject="Ships at anchor", note="Hello.\n\nAnd goodbye.")
    assert html(page).css_first("#subject").attributes["value"] == "Ships at anchor"
    saved = issue(database, week)
    assert (saved.subject, saved.note) == ("Ships at anchor", "Hello.\n\nAnd goodbye.")
    assert saved.version == before + 1


def test_two_people_at_the_same_words_do_not_overwrite_each_other(writer, editor, path, database, week):
    mine, theirs = writer.get(path), editor.get(path)
    editor.press(theirs, f"{path}/words", subject="Theirs", note="Their note")
    answer = writer.press(mine, f"{path}/words", subject="Mine", note="My note")
    assert answer.status_code == 409
    page = html(answer)
    assert "Somebody else has changed" in words(answer)
    assert page.css_first("#subject").attributes["value"] == "Mine"
    assert page.css_first("#note").text() == "My note"
    assert "Saved now: Theirs" in words(answer)
    assert issue(database, week).subject == "Theirs"
    again = writer.follow(writer.press(answer, f"{path}/words"))  # knowing both, this person keeps the own words
    assert again.status_code == 200
    assert issue(database, week).subject == "Mine"


def test_two_people_at_different_things_do_not_disturb_each_other(writer, editor, path, database, week):
    mine, theirs = writer.get(path), editor.get(path)
    lithium = story(database, week, "Who owns a lithium town?")
    assert editor.press(theirs, f"{path}/stories/{lithium.id}/lead").status_code == 303
    assert writer.press(mine, f"{path}/words", subject="Mine").status_code == 303


def test_a_story_gets_the_editors_words_and_can_go_back(writer, path, database, week):
    first = story(database, week, "Who owns a lithium town?")
    action = f"/stories/{first.id}/edit"
    page = press(writer, path, action, headline="A town and its lithium", dek="Three maps.")
    assert "A town and its lithium" in words(page)
    assert "At the source: Who owns a lithium town?" in words(page)
    press(writer, path, action, headline="", dek="")
    assert story(database, week, "Who owns a lithium town?").dek == first.dek


def test_two_people_at_the_same_story_do_not_overwrite_each_other(writer, editor, path, database, week):
    first = story(database, week, "Who owns a lithium town?")
    action = f"{path}/stories/{first.id}/edit"
    mine, theirs = writer.get(path), editor.get(path)
    editor.press(theirs, action, headline="Theirs")
    answer = writer.press(mine, action, headline="Mine", dek="My dek")
    assert answer.status_code == 409
    page = html(answer)
    assert "open" in page.css_first(f"#edit-{first.id}").attributes
    assert page.css_first(f"#headline-{first.id}").attributes["value"] == "Mine"
    assert page.css_first(f"#dek-{first.id}").text() == "My dek"
    assert "Saved now: Theirs" in words(answer)


def test_words_that_are_refused_stay_where_they_were_typed(writer, path, database, week):
    before = issue(database, week)
    answer = writer.press(writer.get(path), f"{path}/words", subject="S" * 400, note="Kept")
    assert answer.status_code == 422
    page = html(answer)
    assert page.css_first("#subject").attributes["value"] == "S" * 400
    assert page.css_first("#subject").attributes["aria-invalid"] == "true"
    assert page.css_first("#note").text() == "Kept"
    assert issue(database, week) == before


def test_stories_move_up_and_down_and_across_sections(writer, path, database, week):
    section = issue(database, week).sections[0]
    second = section.placements[1]
    page = writer.get(path)
    up = html(page).css_first(f"#up-{second.id}")
    moved = writer.press(page, f"{path}/stories/{second.id}/move", button={"to": up.attributes["value"]})
    assert moved.headers["location"] == f"{path}#story-{second.id}"
    assert issue(database, week).sections[0].placements[0].id == second.id
    last = issue(database, week).sections[0].placements[-1]
    down = html(writer.get(path)).css_first(f"#down-{last.id}").attributes["value"]
    writer.press(writer.get(path), f"{path}/stories/{last.id}/move", button={"to": down})
    assert issue(database, week).sections[1].placements[0].id == last.id


def test_the_ends_have_no_way_further(writer, path, database, week):
    placements = issue(database, week).placements
    page = html(writer.get(path))
    assert "disabled" in page.css_first(f"#up-{placements[0].id}").attributes
    for other in placements[1:]:
        assert "disabled" not in page.css_first(f"#up-{other.id}").attributes


@pytest.mark.parametrize("to", ["", "x", "1", "1:-1", "²:1", ":", "9" * 30 + ":"])
def test_nonsense_is_no_place(writer, path, database, week, to):
    first = issue(database, week).placements[0]
    answer = writer.press(writer.get(path), f"{path}/stories/{first.id}/move", to=to)
    assert answer.status_code == 422


def test_another_lead_is_one_press(writer, path, database, week):
    other = next(one for one in issue(database, week).placements if not one.lead)
    page = press(writer, path, f"/stories/{other.id}/lead")
    assert html(page).css_first(f"#lead-{other.id}").attributes["aria-pressed"] == "true"
    assert issue(database, week).lead.id == other.id


def test_a_story_is_taken_out_and_put_back(writer, path, database, week):
    first = story(database, week, "Who owns a lithium town?")
    page = press(writer, path, f"/stories/{first.id}/remove")
    tray = html(page).css_first("#tray")
    assert "Who owns a lithium town?" in tray.text()
    form = next(one for one in tray.css("form") if f'value="{first.article_id}"' in one.html)
    fields = {field.attributes["name"]: field.attributes["value"] for field in form.css("input")}
    section = form.css_first("option").attributes["value"]
    writer.client.post(f"{path}/stories", data={**fields, "section_id": section})
    assert story(database, week, "Who owns a lithium town?").article_id == first.article_id


def test_a_story_can_be_kept_for_the_next_issue(writer, path, database, week):
    first = story(database, week, "Who owns a lithium town?")
    page = html(writer.get(path))
    keep = next(button for button in page.css('button[name="later"]') if f"/stories/{first.id}/" in button.html)
    assert keep.attributes["formaction"] == f"{path}/stories/{first.id}/remove"
    writer.press(writer.get(path), f"{path}/stories/{first.id}/remove", later="1")
    assert first.id not in {one.id for one in issue(database, week).placements}


def test_sections_are_added_renamed_moved_and_removed(writer, path, database, week):
    press(writer, path, "/sections", name="In brief")
    added = issue(database, week).sections[-1]
    assert added.name == "In brief"
    press(writer, path, f"/sections/{added.id}/rename", name="Shortly")
    press(writer, path, f"/sections/{added.id}/move", position="0")
    assert issue(database, week).sections[0].name == "Shortly"
    press(writer, path, f"/sections/{added.id}/remove")
    assert "Shortly" not in {section.name for section in issue(database, week).sections}


def test_two_sections_of_one_name_are_refused_in_words(writer, path, database, week):
    name = issue(database, week).sections[0].name
    answer = writer.press(writer.get(path), f"{path}/sections", name=name)
    assert answer.status_code == 409
    assert f"There is a section “{name}” already." in words(answer)


def test_only_an_editor_approves(writer, editor, path, database, week):
    assert f"{path}/approve" not in writer.get(path).text
    page = editor.follow(editor.press(editor.get(path), f"{path}/approve"))
    assert "No. 2 is approved." in words(page)
    approved = issue(database, week)
    assert (approved.state, approved.approved_by) == (IssueState.APPROVED, "editor@meridian.example")
    with database.read() as session:
        assert staff.audit_trail(session).rows[0].action == "approved"


def test_what_changed_unseen_is_not_approved(writer, editor, path, database, week):
    seen = editor.get(path)
    press(writer, path, "/words", subject="Changed meanwhile")
    answer = editor.press(seen, f"{path}/approve")
    assert answer.status_code == 409
    assert issue(database, week).state is IssueState.DRAFT


def test_a_change_takes_the_approval_back(editor, path, database, week):
    press(editor, path, "/approve")
    press(editor, path, "/words", subject="One more thought")
    assert issue(database, week).state is IssueState.DRAFT


def test_an_approval_can_be_taken_back(editor, path, database, week):
    press(editor, path, "/approve")
    press(editor, path, "/unapprove")
    assert issue(database, week).state is IssueState.DRAFT


def test_preflight_stands_beside_the_draft_and_leads_to_the_place(writer, path, database, week):
    page = press(writer, path, "/words", subject="")
    checks = html(page).css_first("#checks")
    assert "open" in checks.css_first("details").attributes
    assert checks.css_first('a[href="#subject"]') is not None


def test_an_issue_that_was_sent_is_shown_and_not_changed(editor, database, week):
    path = f"/studio/issues/{week.sent_issue}"
    page = html(editor.get(path))
    assert page.css_first("#tray") is None
    actions = {form.attributes["action"] for form in page.css('form[method="post"]')}
    assert actions == {"/sign-out", f"{path}/words"}
    token = page.css_first("input[name=form_token]").attributes["value"]
    answer = editor.client.post(f"{path}/words", data={"form_token": token, "version": "99", "subject": "Too late"})
    assert answer.status_code == 409
    assert "cannot be changed any more" in words(answer)


def test_the_story_of_another_issue_is_not_touched(editor, database, week):
    with database.read() as session:
        sent = issues.get(session, week.sent_issue).placements[0]
    page = editor.get(f"/studio/issues/{week.draft}")
    token = html(page).css_first("input[name=form_token]").attributes["value"]
    for action in ("edit", "move", "lead", "remove"):
        fields = {"form_token": token, "version": "1", "to": f"{issue(database, week).sections[0].id}:"}
        answer = editor.client.post(f"/studio/issues/{week.draft}/stories/{sent.id}/{action}", data=fields)
        assert answer.status_code == 404, action


def test_after_adding_from_the_list_of_stories_one_is_back_there(writer, path, database, week):
    pool = "/studio/newsletters/meridian/stories"
    page = writer.get(f"{pool}?issue={week.draft}")
    answer = writer.press(page, f"{path}/stories")
    assert answer.headers["location"].startswith(f"{pool}?")
    elsewhere = writer.press(writer.get(path), f"{path}/sections", name="New", back="https://evil.example/")
    assert elsewhere.headers["location"] == path


# -- the preview -----------------------------------------------------------------------------------------------------


def test_the_preview_is_the_mail_as_it_would_be_sent(viewer, path, database, week, settings):
    shown = viewer.get(f"{path}/preview")
    with database.read() as session:
        edition = editions.freeze(session, week.draft, base_url=settings.base_url)
        session.rollback()
    text = words(shown)
    for placement in issue(database, week).placements:
        assert placement.headline in text
        assert f'href="{placement.url}"' in shown.text
    assert edition.html.split("<body")[1][:40] in shown.text
    assert "/c/preview/" not in shown.text


def test_the_preview_has_a_world_of_its_own(viewer, path):
    for part in ("html", "text"):
        policy = viewer.get(f"{path}/preview?part={part}").headers["content-security-policy"]
        assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy + ";"
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert "allow-same-origin" not in policy
    frame = html(viewer.get(path)).css_first("iframe.mail")
    assert "allow-scripts" not in frame.attributes["sandbox"]
    assert "allow-same-origin" not in frame.attributes["sandbox"]


def test_the_text_part_is_shown_as_text(viewer, path):
    page = viewer.get(f"{path}/preview?part=text")
    assert "Grain, guns" not in page.text  # the subject is not in the body
    assert "Who owns a lithium town?" in html(page).css_first("pre").text()


def test_a_draft_that_cannot_be_composed_says_why(writer, path):
    press(writer, path, "/words", note="Dear {{ first_name")
    page = writer.get(f"{path}/preview")
    assert page.status_code == 200
    assert "There is no preview yet." in words(page)
    assert "is not closed" in words(page)
    assert writer.get(path).status_code == 200


def test_what_was_sent_is_previewed_as_it_was_sent(app, database, week):
    with database.transaction() as session:
        placement = issues.get(session, week.sent_issue).placements[0]
        row = session.get(Article, placement.article_id)
        row.headline = "Corrected at the source, later"
    shown = signed_in(app, database, Role.VIEWER).get(f"/studio/issues/{week.sent_issue}/preview")
    assert placement.headline in words(shown)
    assert "Corrected at the source" not in shown.text


def test_payloads_in_stories_are_words(app, database, week):
    payload = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}{% for x in y %}'
    with database.transaction() as session:
        from newsletter import publications

        publication = publications.get(session, week.slug)
        made = article(
            session, publication, headline=f"Story {payload}", dek=payload, byline=payload, first_seen_at=NOW
        )
        section = issues.get(session, week.draft).sections[0]
        issues.place(session, week.draft, made.id, section.id)
        issues.rename_section(session, week.draft, section.id, f"Europe {payload}"[:100])
    person = signed_in(app, database, Role.EDITOR)
    for path in week.pages():
        assert not problems(person.get(path)), path
    page = person.get(f"/studio/issues/{week.draft}")
    assert payload in html(page).css_first("#board").text()
    shown = person.get(f"/studio/issues/{week.draft}/preview")
    assert not html(shown).css("script, [onerror]")
    assert "49" not in words(shown).split()
