"""People of the studio for tests, made through the room's own door."""

from sqlalchemy.orm import Session

from newsletter import staff
from newsletter.staff import Role, StaffMember

PASSWORD = "correct horse battery"


def member(
    session: Session, email: str = "editor@meridian.example", role: Role = Role.EDITOR, password: str = "", **fields
) -> StaffMember:
    """A person, with a password if one is given."""
    person = staff.create(session, email=email, role=role, **fields)
    return staff.set_password(session, person.id, password) if password else person
