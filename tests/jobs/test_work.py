"""What the sweep of one process does, in this process."""

import dns.resolver
from factories.audience import subscriber
from factories.cli import eventually
from factories.names import NameServer
from factories.publications import publication

from newsletter.delivery import Provider
from newsletter.delivery.models import MailboxDomain
from newsletter.jobs.work import Work


def test_the_sweep_looks_up_whose_mailboxes_are_where_and_not_at_every_tick(database, settings, monkeypatch):
    with database.transaction() as session:
        weekly = publication(session, "weekly")
        for n in range(3):
            subscriber(session, settings.secret, f"reader{n}@workspace.edu", weekly.id)
    with NameServer() as names:
        names.exchangers["workspace.edu"] = ["1 smtp.google.com."]
        resolver = names.resolver
        monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
        work = Work(settings)
        work.run("tick")

        def looked_up():
            with database.read() as session:
                return session.get(MailboxDomain, "workspace.edu")

        assert eventually(looked_up).lane == Provider.GMAIL
        names.exchangers.clear()
        with database.transaction() as session:
            session.delete(session.get(MailboxDomain, "workspace.edu"))
        work.run("tick")
        work.close()
    assert names.asked == {"workspace.edu": 1}
