import pytest
from factories.audience import SECRET, subscriber
from sqlalchemy import select

from newsletter import audience, notices
from newsletter.audience import Confirmed, SuppressionReason
from newsletter.errors import Invalid
from newsletter.kit import wake
from newsletter.notices import Notice


@pytest.fixture
def ask(session, weekly):
    def call(email):
        return audience.ask(session, SECRET, email=email, publication_id=weekly, source="form", wording="1")

    return call


def _kinds(session):
    return [(row.kind, row.to_address) for row in session.scalars(select(Notice).order_by(Notice.id))]


def test_only_the_mail_tells_new_known_and_suppressed_apart(ask, session, weekly, links):
    subscriber(session, SECRET, "known@example.org", weekly)
    audience.suppress(session, SECRET, address="stopped@example.org", reason=SuppressionReason.MANUAL)
    for name in ("New", "known", "stopped", "new"):
        notices.answer_sign_up(session, ask(f"{name}@example.org"), links=links)
    assert _kinds(session) == [("confirm", "New@example.org"), ("already_subscribed", "known@example.org")]


def test_the_link_in_the_notice_confirms(ask, session, links):
    notices.answer_sign_up(session, ask("ana@example.org"), links=links)
    (notice,) = session.scalars(select(Notice))
    token = notice.facts["confirm_url"].rpartition("/")[2]
    assert audience.confirm(session, SECRET, token).changed


def test_a_strangers_words_reach_no_mail(ask, session, links):
    stranger = "buy-pills-at-evil.example@example.org"
    notices.answer_sign_up(session, ask(stranger), links=links)
    (notice,) = session.scalars(select(Notice))
    assert "evil" not in str(notice.facts)


def test_a_welcome_comes_once_with_the_way_out(session, weekly, links):
    first = Confirmed(weekly, 5, 6, "ana@example.org", changed=True)
    assert notices.welcome(session, first, links=links, latest_url="http://news.example.test/n/weekly/3")
    assert notices.welcome(session, Confirmed(weekly, 5, 6, "ana@example.org", changed=False), links=links) is None
    (notice,) = session.scalars(select(Notice))
    reader = links.open_leave(notice.facts["leave_url"].rpartition("/")[2])
    assert (reader.publication_id, reader.subscriber_id) == (weekly, 5)


def test_a_worker_is_woken_after_the_commit_and_not_before(database, weekly):
    woken = []
    wake.register(lambda topic, ident: woken.append((topic, ident)))
    try:
        with database.transaction() as session:
            notices.staff_link(session, to="editor@example.org", sign_in_url="http://news.example.test/sign-in/link/x")
            assert woken == []
        assert woken == [("notices", 0)]
        with pytest.raises(RuntimeError), database.transaction() as session:
            notices.staff_link(session, to="editor@example.org", sign_in_url="http://news.example.test/sign-in/link/y")
            raise RuntimeError
    finally:
        wake.register(None)
    assert len(woken) == 1
    with database.read() as session:
        assert len(_kinds(session)) == 1


def test_a_kind_without_templates_and_an_address_that_is_none_are_refused(session, weekly):
    with pytest.raises(ValueError, match="no notice goodbye"):
        notices.queue(session, kind="goodbye", to="a@example.org", publication_id=weekly, facts={})
    with pytest.raises(Invalid):
        notices.queue(session, kind="staff_link", to="nobody", publication_id=None, facts={})


def test_what_is_told_once_is_not_told_again(session, weekly):
    facts = {"headline": "x", "sentence": "y", "studio_url": "http://news.example.test/"}

    def tell(to, about):
        return notices.queue(session, kind="alarm", to=to, publication_id=weekly, facts=facts, about=about)

    assert tell("a@example.org", "send:1 missed")
    assert tell("a@example.org", "send:1 missed") is None
    assert tell("b@example.org", "send:1 missed")
    assert tell("a@example.org", "send:2 missed")
    assert tell("a@example.org", None)
    assert tell("a@example.org", None)


def test_forgetting_an_address_deletes_its_notices_and_nobody_elses(session):
    for to in ("Ana@example.org", "ana@example.org", "joana@example.org", "ana@example.net"):
        notices.staff_link(session, to=to, sign_in_url="http://news.example.test/x")
    assert notices.forget(session, "ANA@example.org") == 2
    assert [to for _, to in _kinds(session)] == ["joana@example.org", "ana@example.net"]
