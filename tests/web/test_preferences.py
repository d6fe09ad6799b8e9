import pytest
from factories import audience as readers
from factories import publications as titles
from factories.web import dump, html, words

from newsletter import audience
from newsletter.audience import SubscriptionStatus
from newsletter.audience.models import Subscriber, Subscription
from newsletter.events.models import Event


@pytest.fixture
def reader(database, settings):
    with database.transaction() as session:
        weekly = titles.publication(session, "weekly", name="The Weekly")
        titles.publication(session, "other", name="The Other")
        person = readers.subscriber(session, settings.secret, "ana@reader.example", weekly.id, first_name="Ana")
        readers.subscriber(session, settings.secret, "ben@reader.example", weekly.id, first_name="Ben")
    return audience.Reader(weekly.id, person.id)


@pytest.fixture
def path(reader, app):
    return f"/p/{app.state.site.links.preferences_token(reader.publication_id, reader.subscriber_id)}"


def ana(database):
    with database.read() as session:
        person = session.query(Subscriber).filter_by(email="ana@reader.example").one()
        memberships = session.query(Subscription).filter_by(subscriber_id=person.id).order_by("publication_id").all()
        return person, memberships


def test_the_page_shows_what_is_known_and_changes_nothing(visitor, path, database):
    before = dump(database)
    page = visitor.get(path)
    tree = html(page)
    assert "ana@reader.example" in words(page)
    assert tree.css_first("#first_name").attributes["value"] == "Ana"
    assert "checked" in tree.css_first('input[name="tracking"]').attributes
    assert "Ben" not in page.text
    assert dump(database) == before


def test_choices_are_saved(visitor, path, database, reader):
    page = visitor.get(path)
    other = next(box for box in html(page).css('input[name^="on-"]') if "checked" not in box.attributes)
    fields = {"last_name": "Silva", other.attributes["name"]: "1"}
    saved = visitor.press(page, path, **fields)
    assert "Your choices are saved." in words(saved)
    person, memberships = ana(database)
    assert (person.first_name, person.last_name, person.tracking) == ("Ana", "Silva", True)
    assert [one.status for one in memberships] == [SubscriptionStatus.ACTIVE, SubscriptionStatus.ACTIVE]


def test_switching_off_is_leaving_and_counted_once(visitor, path, database, reader):
    fields = {"first_name": "Ana", "last_name": ""}  # no box ticked: a browser sends none
    visitor.client.post(path, data=fields)
    visitor.client.post(path, data=fields)
    person, memberships = ana(database)
    assert memberships[0].status is SubscriptionStatus.UNSUBSCRIBED
    assert person.tracking is False
    with database.read() as session:
        assert session.query(Event).count() == 1


def test_a_refused_form_keeps_what_was_typed_and_changes_nothing(visitor, path, database):
    before = dump(database)
    response = visitor.press(visitor.get(path), path, first_name="A" * 300, last_name="Silva")
    assert response.status_code == 422
    tree = html(response)
    assert tree.css_first("#first_name").attributes["value"] == "A" * 300
    assert tree.css_first("#first_name").attributes["aria-invalid"] == "true"
    assert tree.css_first("#last_name").attributes["value"] == "Silva"
    assert dump(database) == before


def test_a_pause_is_one_press_and_can_be_ended(visitor, path, database):
    paused = visitor.press(visitor.get(path), f"{path}/pause", button={"weeks": "4"})
    assert "Paused." in words(paused)
    assert ana(database)[1][0].paused_until is not None
    back = visitor.press(paused, f"{path}/pause", button={"resume": "1"})
    assert "Welcome back" in words(back)
    assert ana(database)[1][0].paused_until is None


def test_a_pause_of_another_length_is_refused(visitor, path, database):
    response = visitor.client.post(f"{path}/pause", data={"weeks": "500"})
    assert response.status_code == 422
    assert ana(database)[1][0].paused_until is None


def test_leaving_is_one_press_more(visitor, path, database):
    page = visitor.get(path)
    action = next(form.attributes["action"] for form in html(page).css("form") if "/u/" in form.attributes["action"])
    assert "You have unsubscribed" in words(visitor.press(page, action))
    assert ana(database)[1][0].status is SubscriptionStatus.UNSUBSCRIBED


def test_a_reader_can_take_all_data_home(visitor, path):
    response = visitor.get(f"{path}/data.json")
    assert response.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    assert response.json()["subscriber"]["email"] == "ana@reader.example"
    assert "ben@reader.example" not in response.text


def test_a_link_of_one_kind_does_not_open_another(visitor, path, app, reader):
    leave = app.state.site.links.leave_token(reader.publication_id, reader.subscriber_id)
    assert visitor.get(f"/p/{leave}").status_code == 404
    assert visitor.get(path.replace("/p/", "/u/")).status_code == 404
