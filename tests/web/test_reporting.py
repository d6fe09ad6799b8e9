from factories.web import html, words

from newsletter import reports


def test_the_page_has_the_reports_figures(viewer, week, database):
    page = viewer.get(f"/studio/issues/{week.sent_issue}/report")
    with database.read() as session:
        report = reports.issue_report(session, week.sent_issue)
    facts = dict(
        zip(
            [node.text() for node in html(page).css(".facts dt")],
            [node.text().split()[0] for node in html(page).css(".facts dd")],
            strict=True,
        )
    )
    assert facts == {
        "audience": str(report.audience),
        "accepted": str(report.states["accepted"]),
        "opened": str(report.opens.human),
        "clicked": str(report.clicks.human),
        "bounced": str(report.bounced),
        "left": str(report.unsubscribes),
        "complained": str(report.complaints),
    }
    assert (facts["audience"], facts["accepted"], facts["opened"], facts["left"]) == ("12", "11", "1", "1")
    assert "adds up" in words(page)


def test_bars_are_drawn_to_measure_and_say_their_figure(viewer, week):
    page = html(viewer.get(f"/studio/issues/{week.sent_issue}/report"))
    bar = page.css_first("svg.bar")
    assert bar.attributes["aria-label"] == "11 accepted of 12"
    widths = [float(rect.attributes["width"]) for rect in bar.css("rect")]
    assert abs(sum(widths) - 1000) < 0.1
    assert abs(max(widths) - 1000 * 11 / 12) < 0.1
    assert not page.css("[style]")


def test_stories_are_listed_by_what_was_read(viewer, week):
    page = viewer.get(f"/studio/issues/{week.sent_issue}/report")
    assert "1 reader" in [node.attributes["aria-label"] for node in html(page).css("svg.bar.slim")]
    assert "bad mailbox" in words(page)


def test_an_issue_that_was_not_sent_has_no_report_yet(viewer, week):
    assert "Not sent yet" in words(viewer.get(f"/studio/issues/{week.draft}/report"))
