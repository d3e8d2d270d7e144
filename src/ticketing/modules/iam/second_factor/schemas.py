"""Request and response bodies of the second factor."""

from typing import Annotated

from pydantic import Field

from ticketing.infra.http.fields import Body, Out
from ticketing.modules.iam.schemas import OneTimeCode, Password


class BeginSecondFactor(Body):
    password: Password


class ConfirmSecondFactor(Body):
    code: Annotated[OneTimeCode, Field(repr=False)]


class DisableSecondFactor(Body):
    """The code is one of the app, or a recovery code."""

    password: Password
    code: Annotated[OneTimeCode, Field(repr=False)]


class PendingSecondFactorOut(Out):
    """The secret in three forms: to type, to open on the phone, and to scan."""

    #: Base32.
    secret: str
    otpauth_uri: str
    qr_svg: str


class RecoveryCodesOut(Out):
    """Each works once in place of a code of the app. They are not shown again."""

    recovery_codes: list[str]
