"""The people of the studio: roles, signing in, the audit trail."""

from newsletter.staff.models import Role, StaffMember
from newsletter.staff.people import create, may, set_active, set_password, set_role
from newsletter.staff.queries import AuditRow, audit_trail, by_email, by_id, count, listing
from newsletter.staff.sessions import keep_alive, login_link, session_member, sign_out, start, use_link
from newsletter.staff.signing_in import sign_in
from newsletter.staff.trail import audit

__all__ = [
    "AuditRow",
    "Role",
    "StaffMember",
    "audit",
    "audit_trail",
    "by_email",
    "by_id",
    "count",
    "create",
    "keep_alive",
    "listing",
    "login_link",
    "may",
    "session_member",
    "set_active",
    "set_password",
    "set_role",
    "sign_in",
    "sign_out",
    "start",
    "use_link",
]
