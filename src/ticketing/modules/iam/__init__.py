"""People: who they are, how they log in, and whose request this is."""

from ticketing.modules.iam import models  # noqa: F401 (registers the tables)
from ticketing.modules.iam.access import CurrentUser, Identity, OptionalUser
from ticketing.modules.iam.api import router
from ticketing.modules.iam.messages import UserRegistered
from ticketing.modules.iam.models import User
from ticketing.modules.iam.queries import UserUnknown, find_user, get_user, list_users, normalize_email

__all__ = [
    "CurrentUser",
    "Identity",
    "OptionalUser",
    "User",
    "UserRegistered",
    "UserUnknown",
    "find_user",
    "get_user",
    "list_users",
    "normalize_email",
    "router",
]
