import pytest
from factories.staff import PASSWORD, member

from newsletter import staff
from newsletter.errors import Conflict, Invalid, NotFound, Refused
from newsletter.staff import Role


def test_the_first_run_is_known_by_nobody_being_there(session):
    assert staff.count(session) == 0
    member(session)
    assert staff.count(session) == 1


def test_a_person_is_found_however_the_address_is_written(session):
    made = member(session, "Ines@Meridian.Example", name="  Ines   Duarte ")
    assert made.name == "Ines Duarte"
    assert staff.by_email(session, "ines@meridian.example").id == made.id
    with pytest.raises(Conflict):
        member(session, "INES@meridian.example")


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"email": "nobody"}, "email"), ({"role": "emperor"}, "role"), ({"name": "a\nb\x00"}, "name")],
)
def test_a_wrong_value_names_its_field(session, fields, field):
    with pytest.raises(Invalid) as refusal:
        staff.create(session, **{"email": "a@example.org", "role": "viewer", **fields})
    assert refusal.value.field == field


def test_each_role_includes_the_ones_below_it_and_no_other():
    order = [Role.VIEWER, Role.WRITER, Role.EDITOR, Role.ADMIN]
    for i, role in enumerate(order):
        assert [staff.may(role, needed) for needed in order] == [j <= i for j in range(4)]


def test_somebody_unknown_is_said_to_be_unknown(session):
    with pytest.raises(NotFound, match="Nobody signs in as"):
        staff.by_email(session, "ghost@example.org")
    with pytest.raises(NotFound):
        staff.set_role(session, 99, Role.ADMIN)


def test_the_last_administrator_stays_one(session):
    boss = member(session, "boss@example.org", Role.ADMIN)
    with pytest.raises(Refused):
        staff.set_role(session, boss.id, Role.VIEWER)
    with pytest.raises(Refused):
        staff.set_active(session, boss.id, active=False)
    member(session, "second@example.org", Role.ADMIN)
    assert staff.set_role(session, boss.id, Role.VIEWER).role is Role.VIEWER


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaaaaaa", "editor@meridian.example"])
def test_a_password_that_could_be_guessed_is_refused(session, password):
    person = member(session)
    with pytest.raises(Invalid) as refusal:
        staff.set_password(session, person.id, password)
    assert refusal.value.field == "password"
    assert person.password_hash == ""


def test_a_password_is_kept_as_argon2id_only(session):
    person = member(session, password=PASSWORD)
    assert person.password_hash.startswith("$argon2id$")
    assert PASSWORD not in person.password_hash


@pytest.mark.parametrize(
    "change",
    [
        lambda session, who: staff.set_password(session, who, "another long password"),
        lambda session, who: staff.set_role(session, who, Role.ADMIN),
        lambda session, who: staff.set_active(session, who, active=False),
    ],
    ids=["password", "role", "standing"],
)
def test_a_change_of_password_role_or_standing_ends_every_session_and_link(session, change):  # T14
    person = member(session)
    other = member(session, "other@example.org")
    keys = [staff.start(session, person.id) for _ in range(2)]
    link = staff.login_link(session, person.id)
    kept = staff.start(session, other.id)
    change(session, person.id)
    assert [staff.session_member(session, key) for key in keys] == [None, None]
    with pytest.raises(Exception, match="used already or is too old"):
        staff.use_link(session, link)
    assert staff.session_member(session, kept).id == other.id


def test_saving_the_same_role_keeps_the_sessions(session):
    person = member(session)
    key = staff.start(session, person.id)
    staff.set_role(session, person.id, person.role)
    assert staff.session_member(session, key) is not None
