"""People: who they are, how they log in, and whose request this is."""

from fastapi import APIRouter

from ticketing.modules.iam import account_api, api, letters_models, models, personal, second_factor_api, sessions_api  # noqa: F401 (register the tables)
from ticketing.modules.iam.access import CurrentUser, Identity, OptionalUser
from ticketing.modules.iam.ended_watch import watching
from ticketing.modules.iam.letters import clean_tokens as clean_mail_tokens
from ticketing.modules.iam.letters import find_token as find_mail_token
from ticketing.modules.iam.letters_links import write_link
from ticketing.modules.iam.letters_models import MailToken
from ticketing.modules.iam.letters_reset import open_reset
from ticketing.modules.iam.messages import (
    EmailVerificationRequested,
    EmailVerified,
    PasswordChanged,
    PasswordResetRequested,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SessionEnded,
    UserErased,
    UserRegistered,
)
from ticketing.modules.iam.models import EndReason, LogInSession, User
from ticketing.modules.iam.queries import UserUnknown, find_user, get_user, list_users, normalize_email
from ticketing.modules.iam.schemas import OneTimeCode, Password
from ticketing.modules.iam.second_factor import has_second_factor
from ticketing.modules.iam.service import set_password
from ticketing.modules.iam.sessions import clean_sessions, end_sessions, open_session

router = APIRouter()
for _routes in (api, sessions_api, account_api, second_factor_api):
    router.include_router(_routes.router)

__all__ = [
    "CurrentUser",
    "EmailVerificationRequested",
    "EmailVerified",
    "EndReason",
    "Identity",
    "LogInSession",
    "MailToken",
    "OneTimeCode",
    "OptionalUser",
    "Password",
    "PasswordChanged",
    "PasswordResetRequested",
    "SecondFactorDisabled",
    "SecondFactorEnabled",
    "SessionEnded",
    "User",
    "UserErased",
    "UserRegistered",
    "UserUnknown",
    "clean_mail_tokens",
    "clean_sessions",
    "end_sessions",
    "find_mail_token",
    "find_user",
    "get_user",
    "has_second_factor",
    "list_users",
    "normalize_email",
    "open_reset",
    "open_session",
    "personal",
    "router",
    "set_password",
    "watching",
    "write_link",
]
