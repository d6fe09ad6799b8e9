"""The studio and the reader pages in a real browser: used, measured, and judged by axe."""

import contextlib
import re
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from factories import staff as people
from factories.web import a_week, dump, serving

from newsletter import audience, delivery, issues, staff
from newsletter.audience import SubscriptionStatus
from newsletter.audience.models import Subscription
from newsletter.kit import clock
from newsletter.notices.models import Notice
from newsletter.staff import Role
from newsletter.web.app import create_app

pytestmark = pytest.mark.browser

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
EMAIL = "admin@meridian.example"
LOOKS = [("light", 1280), ("dark", 375)]  # colours depend on the scheme, layout on the width: each is seen once


@pytest.fixture
def settings(settings, mailbox):
    return settings.model_copy(update={"smtp_url": (f"smtp://127.0.0.1:{mailbox.port}",)})


@pytest.fixture
def week(database, settings, mailbox):
    made = a_week(database, settings, mailbox)
    with database.transaction() as session:
        people.member(session, EMAIL, Role.ADMIN, people.PASSWORD, name="Ines Duarte")
    return made


@pytest.fixture
def served(settings, database, week):
    with serving(create_app(settings, database)) as running:
        yield running


@pytest.fixture
def key(database, week):
    """A session's key, for tests that are not about signing in."""
    with database.transaction() as session:
        return staff.start(session, staff.by_email(session, EMAIL).id)


@pytest.fixture
def opened(browser, served):
    """Open windows that know no other server; what the browser complains about is collected."""
    with contextlib.ExitStack() as stack:

        def window(*, key="", **options):
            context = stack.enter_context(contextlib.closing(browser.new_context(base_url=served.url, **options)))
            context.route(re.compile(rf"^(?!{re.escape(served.url)}|about:|data:)"), lambda route: route.abort())
            if key:
                context.add_cookies([{"name": "newsletter-session", "value": key, "url": served.url}])
            page = context.new_page()
            page.complaints = []
            page.on(
                "console", lambda line: page.complaints.append(line.text) if "policy" in line.text.lower() else None
            )
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            return page

        yield window


WEB_VERSION = "/n/meridian/1"  # the mail's own layout, in a sandbox where nobody's script runs; test_mail.py judges it


def reader_pages(database, app_links, week):
    """Every kind of page that readers see, with links of a reader who reads, one who left and one who waits."""
    with database.transaction() as session:
        reading, left = (
            session.query(Subscription.subscriber_id).filter_by(status=status).order_by("id").first()[0]
            for status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.UNSUBSCRIBED)
        )
        waiting = session.query(Subscription).filter_by(subscriber_id=reading).one()
        expires = clock.now()
    publication = week.publication_id
    return [
        "/n/meridian",
        WEB_VERSION,
        f"/u/{app_links.leave_token(publication, reading)}",
        f"/u/{app_links.leave_token(publication, left)}",
        f"/p/{app_links.preferences_token(publication, reading)}",
        app_links.confirm_url(waiting.id, expires).removeprefix("http://news.example.test"),
        "/n/nothing",
        "/sign-in",
        "/sign-in/link/some-key",
    ]


def _but_the_mail(paths):
    return [path for path in paths if path != WEB_VERSION]


@pytest.fixture
def public(database, settings, week):
    return reader_pages(database, audience.Links(settings.base_url, settings.secret), week)


@pytest.mark.timeout(600)  # axe takes seconds a page, and there are many pages
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_on_any_page(opened, key, week, public, scheme, width):
    studio = opened(key=key, color_scheme=scheme, viewport={"width": width, "height": 900})
    reader = opened(color_scheme=scheme, viewport={"width": width, "height": 900})
    for page, paths in ((studio, [*week.pages(), "/studio/nothing"]), (reader, _but_the_mail(public))):
        for path in paths:
            page.goto(path)
            found = Axe().run(page, options=WCAG)
            assert found.violations_count == 0, f"{path} {scheme} {width}\n{found.generate_report()}"
        assert page.complaints == []


@pytest.mark.parametrize("width", [320, 375, 768])
def test_no_page_scrolls_sideways(opened, key, week, public, width):
    size = {"width": width, "height": 700}
    for page, paths in ((opened(key=key, viewport=size), week.pages()), (opened(viewport=size), public)):
        for path in paths:
            page.goto(path)
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, f"{path} is {over} px too wide at {width}"


SMALL = """(least) => [...document.querySelectorAll("a, button, summary, select, input:not([type=hidden]), textarea")]
  .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden, .skip, .trap"))
  .filter((one) => getComputedStyle(one).display !== "inline" && one.tabIndex >= 0)
  .map((one) => [one.outerHTML.slice(0, 80), (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < least || box.height < least))
  .map(([what, box]) => `${what} ${box.width} x ${box.height}`)"""


def test_everything_to_press_is_large_enough(opened, key, week, public):
    """WCAG 2.5.8 in the studio: 24 px; for readers, on a telephone: 44 px. Links in running text are excepted."""
    size = {"width": 375, "height": 700}
    for page, paths, least in (
        (opened(key=key, viewport=size), week.pages(), 24),
        (opened(viewport=size), public[:6], 44),
    ):
        for path in paths:
            if path == "/n/meridian/1":
                continue  # the mail's own layout
            page.goto(path)
            assert page.evaluate(SMALL, least) == [], path


def test_reader_pages_run_no_script_and_ask_nobody_else(opened, served, public):
    page = opened()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in _but_the_mail(public[:6]):
        asked.clear()
        page.goto(path)
        assert all(url.startswith(served.url) for url in asked), path
        assert not [url for url in asked if url.endswith(".js")], path
        assert sum(len(page.request.get(url).body()) for url in asked) <= 30_000, path


def sign_in(page):
    page.goto("/studio")
    page.get_by_label("Email address").fill(EMAIL)
    page.get_by_label("Password").fill(people.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/studio")


def delivering(database, settings):
    """What the workers do, in the background."""

    def work():
        while not (begun := delivery.begin_due(database, settings)):
            pass
        delivery.run(database, settings, send_id=begun[0])

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_an_editor_makes_and_sends_an_issue(opened, database, settings, week, mailbox):
    page = opened(viewport={"width": 1280, "height": 900})
    sign_in(page)
    page.get_by_role("button", name="New draft").click()
    page.wait_for_url(f"**/studio/issues/{week.draft}")
    mail = page.frame_locator("iframe.mail")
    mail.get_by_text("Who owns a lithium town?").wait_for()

    # Another headline: the preview follows, the page stays where it is.
    story = page.locator("li.story", has_text="Who owns a lithium town?")
    story.locator("summary").click()
    story.get_by_label("Headline").fill("A town and its lithium")
    story.get_by_role("button", name="Save").click()
    mail.get_by_text("A town and its lithium").wait_for()
    assert page.url.endswith(f"/studio/issues/{week.draft}")

    # Moved up by the keyboard: the focus stays with the story.
    up = page.get_by_role("button", name="Move up: A town and its lithium")
    up.focus()
    page.keyboard.press("Enter")
    page.locator("li.story:first-child h3", has_text="A town and its lithium").first.wait_for()
    assert "lithium" in page.evaluate("document.activeElement.getAttribute('aria-label')")

    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("No. 2 is approved.").wait_for()
    page.get_by_role("link", name="Send…").click()
    page.get_by_role("button", name=re.compile(r"Send to \d+ readers")).click()
    page.wait_for_url("**/studio/sends/*")
    worker = delivering(database, settings)
    page.locator("#meta .chip", has_text="complete").wait_for(timeout=20_000)  # without a reload by hand
    worker.join()
    assert page.locator("[data-poll]").count() == 0
    page.get_by_role("link", name="Report").click()
    got = [mail for mail in mailbox.received if "A town and its lithium" in mail.html]
    assert page.locator(".facts dd").nth(1).inner_text().split()[0] == str(len(got))
    assert len({mail.rcpt_to for mail in got}) == len(got) == 10  # of 12, one bounced and one left last week
    assert page.complaints == []


def test_all_of_it_works_without_scripts(opened, database, settings, week):
    page = opened(java_script_enabled=False)
    sign_in(page)
    page.goto(f"/studio/issues/{week.draft}")
    story = page.locator("li.story", has_text="Who owns a lithium town?")
    story.locator("summary").click()
    story.get_by_label("Headline").fill("A town and its lithium")
    story.get_by_role("button", name="Save").click()
    page.frame_locator("iframe.mail").get_by_text("A town and its lithium").wait_for()
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_role("link", name="Send…").click()
    page.get_by_role("button", name=re.compile("Send to")).click()
    page.wait_for_url("**/studio/sends/*")
    worker = delivering(database, settings)
    page.locator("#meta .chip", has_text="complete").wait_for(timeout=30_000)  # the page refreshes itself
    worker.join()


def test_what_is_being_typed_survives_what_else_is_done(opened, key, week, database):
    page = opened(key=key)
    page.goto(f"/studio/issues/{week.draft}")
    first, other = page.locator("li.story").nth(0), page.locator("li.story").nth(1)
    first.locator("summary").click()
    first.get_by_label("Headline").fill("Half a thought")
    page.get_by_label("Subject", exact=True).fill("Half a subject")
    other.get_by_role("button", name=re.compile("Make it the lead")).click()
    page.locator("li.story.lead", has_not_text="customs union").wait_for()
    assert page.get_by_label("Headline").first.input_value() == "Half a thought"
    assert page.get_by_label("Subject", exact=True).input_value() == "Half a subject"


def test_a_clash_is_shown_and_nothing_typed_is_lost(opened, key, week, database):
    page = opened(key=key)
    page.goto(f"/studio/issues/{week.draft}")
    with database.transaction() as session:
        issues.edit(session, week.draft, version=issues.get(session, week.draft).version, subject="Theirs")
    page.get_by_label("Subject", exact=True).fill("Mine")
    page.get_by_label("Subject", exact=True).press("Control+s")
    page.get_by_text("Somebody else has changed").wait_for()
    assert page.get_by_label("Subject", exact=True).input_value() == "Mine"
    assert page.get_by_text("Saved now: Theirs").is_visible()


def test_being_signed_out_meanwhile_loses_nothing(opened, key, week, database):
    page = opened(key=key)
    page.goto(f"/studio/issues/{week.draft}")
    with database.transaction() as session:
        staff.sign_out(session, key)
    page.get_by_label("Subject", exact=True).fill("Written for an hour")
    page.locator("#words").get_by_role("button", name="Save").click()
    page.get_by_text("You have been signed out").wait_for()
    assert page.get_by_label("Subject", exact=True).input_value() == "Written for an hour"


def test_the_preview_changes_its_width_and_its_part(opened, key, week):
    page = opened(key=key, viewport={"width": 1280, "height": 900})
    page.goto(f"/studio/issues/{week.draft}")
    wide = page.locator("iframe.mail").bounding_box()["width"]
    page.get_by_text("Phone", exact=True).click()
    assert page.locator("iframe.mail").bounding_box()["width"] == 375 < wide
    page.get_by_text("Text", exact=True).click()
    assert not page.locator("iframe.mail").is_visible()
    page.frame_locator("iframe.plain").get_by_text("Who owns a lithium town?").wait_for()


def test_a_machine_that_opens_a_mails_links_in_a_browser_changes_nothing(opened, mailbox, database, week):
    """Scripts run, pages are scrolled: still nobody is confirmed, and nobody has left."""
    [mail] = mailbox.to("reader5@example.org")
    links = {
        link.replace("&amp;", "&") for link in re.findall(r'href="http://news\.example\.test(/[upn]/[^"]+)"', mail.html)
    }
    assert len(links) >= 3
    before = dump(database)
    page = opened()
    for path in links:
        page.goto(path)
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(100)
    after = dump(database)
    assert {table for table in before if before[table] != after[table]} == set()


def test_a_reader_signs_up_pauses_and_leaves(opened, database, week, settings):
    page = opened(viewport={"width": 375, "height": 700})
    page.goto("/n/meridian")
    page.wait_for_timeout(1100)  # as long as a person needs to type an address
    page.get_by_label("Your email address").fill("new@reader.example")
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("heading", name="Check your mail").wait_for()
    with database.read() as session:
        notice = session.query(Notice).filter_by(to_address="new@reader.example").one()
    page.goto(notice.facts["confirm_url"].removeprefix("http://news.example.test"))
    page.get_by_role("button", name="Yes, subscribe me").click()
    page.get_by_role("link", name="Your preferences").click()
    page.get_by_role("button", name="4 weeks").click()
    page.get_by_text("is paused until").wait_for()
    page.get_by_role("button", name=re.compile("Unsubscribe from")).click()
    page.get_by_role("heading", name="You have unsubscribed").wait_for()
    page.get_by_role("button", name="That was a mistake: undo").click()
    page.get_by_role("heading", name="Welcome back").wait_for()
