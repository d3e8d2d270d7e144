"""Identity and access management: accounts, login sessions and the identity of a request."""

from fastapi import APIRouter

from ticketing.infra.email_addresses import normalize_email
from ticketing.modules.iam import account_api, api, models, personal_data
from ticketing.modules.iam.access import CurrentUser, Identity, OptionalUser, optional_user
from ticketing.modules.iam.mail_tokens import models as mail_token_models
from ticketing.modules.iam.mail_tokens.links import LinkInvalid, read_token, write_link, write_token
from ticketing.modules.iam.mail_tokens.models import MailToken
from ticketing.modules.iam.mail_tokens.recipients import (
    get_recipient,
    is_own_address,
    is_recipient,
    open_confirmation,
)
from ticketing.modules.iam.mail_tokens.service import clean_tokens as clean_mail_tokens
from ticketing.modules.iam.mail_tokens.service import find_token as find_mail_token
from ticketing.modules.iam.messages import (
    EmailVerificationRequested,
    EmailVerified,
    PasswordChanged,
    PasswordResetRequested,
    RecipientConfirmed,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SessionEnded,
    UserErased,
    UserRegistered,
)
from ticketing.modules.iam.models import EndReason, LogInSession, User
from ticketing.modules.iam.password_reset import open_reset
from ticketing.modules.iam.queries import UserUnknown, find_user, get_user, list_users
from ticketing.modules.iam.schemas import OneTimeCode, Password
from ticketing.modules.iam.second_factor import api as second_factor_api
from ticketing.modules.iam.second_factor.service import has_second_factor
from ticketing.modules.iam.service import set_password
from ticketing.modules.iam.sessions import api as sessions_api
from ticketing.modules.iam.sessions.revocation_watcher import watch_revocations
from ticketing.modules.iam.sessions.service import clean_sessions, end_sessions, open_session

router = APIRouter()
for _routes in (api, sessions_api, account_api, second_factor_api):
    router.include_router(_routes.router)
router.include_router(api.unkeyed)

__all__ = [
    "CurrentUser",
    "EmailVerificationRequested",
    "EmailVerified",
    "EndReason",
    "Identity",
    "LinkInvalid",
    "LogInSession",
    "MailToken",
    "OneTimeCode",
    "OptionalUser",
    "Password",
    "PasswordChanged",
    "PasswordResetRequested",
    "RecipientConfirmed",
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
    "get_recipient",
    "get_user",
    "has_second_factor",
    "is_own_address",
    "is_recipient",
    "list_users",
    "normalize_email",
    "open_confirmation",
    "open_reset",
    "open_session",
    "optional_user",
    "personal_data",
    "read_token",
    "router",
    "set_password",
    "watch_revocations",
    "write_link",
    "write_token",
]
