"""An editor's ten minutes in a real browser, on the product as it is started by hand."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.timeout(240)]

READERS = 300
PASSWORD = "harbour lantern fortnight"


def _first_link(house):
    """The one-time link that `run` prints on an empty database."""
    for path in house.folder.glob("run-*.out"):
        if found := re.search(r"http\S+/sign-in/link/\S+", path.read_text()):
            return found.group(0)
    return None


def _sign_in_for_the_first_time(page, house):
    house.wait(lambda: _first_link(house), "`run` printed no link for the first administrator")
    page.goto(_first_link(house))
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{house.base}/studio/account")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()


def test_an_editor_makes_an_issue_sends_it_and_reads_the_report(house, magazine, mailbox, browser):
    house.start("run", "--port", str(house.port))
    house.wait_until_ready()
    house.run(
        "publication", "create", "meridian", "--name", "The Meridian Weekly", "--from", "desk@meridian.example",
        "--address", "1 Harbour Row, Port Town", "--timezone", "Europe/London",
    )  # fmt: skip
    rows = "".join(f"reader{n}@example.com\n" for n in range(READERS))
    (house.folder / "readers.csv").write_text("email\n" + rows)
    house.run(
        "subscribers", "import", "readers.csv", "--publication", "meridian", "--confirmed", "--consent-source", "paper"
    )
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    _sign_in_for_the_first_time(page, house)

    # The week's stories: a source, collected by the worker.
    page.goto(f"{house.base}/studio/newsletters/meridian")
    page.get_by_label("Address of a feed").fill(f"{magazine.base}/feed.xml")
    page.get_by_role("button", name="Add the source").click()
    house.wait(lambda: (page.reload(), page.get_by_text("healthy").count())[1], "the source was not collected")

    # The draft with its preview; another subject; approved and sent from the page.
    page.get_by_role("button", name="New draft").click()
    page.wait_for_url("**/studio/issues/*")
    page.frame_locator("iframe.mail").get_by_role("heading", name="The Meridian Weekly").wait_for()
    page.get_by_label("Subject", exact=True).fill("A river, a treaty, a drought")
    page.locator("#words").get_by_role("button", name="Save").click()
    page.locator(".preview, main").get_by_text("A river, a treaty, a drought").first.wait_for()
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_role("link", name="Send…").click()
    page.get_by_role("button", name=f"Send to {READERS} readers").click()
    page.wait_for_url("**/studio/sends/*")
    page.locator("#meta .chip", has_text="complete").wait_for(timeout=60_000)
    assert len(mailbox.received) == READERS
    assert mailbox.received[0].message["Subject"] == "A river, a treaty, a drought"

    # The report as a page; signing out and in again with the password.
    page.get_by_role("link", name="Report").click()
    page.get_by_text("adds up").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{house.base}/studio")
    assert "/sign-in" in page.url
    context.close()
