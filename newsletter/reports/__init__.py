"""What became of an issue, and how a publication is doing: read from the ledger and the events."""

from newsletter.reports.issue import issue_report
from newsletter.reports.overview import publication_overview
from newsletter.reports.rows import IssueLine, IssueReport, Provider, PublicationOverview, Reach, StoryClicks

__all__ = [
    "IssueLine",
    "IssueReport",
    "Provider",
    "PublicationOverview",
    "Reach",
    "StoryClicks",
    "issue_report",
    "publication_overview",
]
