"""Field types of request and response bodies, with the limits that all of them share."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    computed_field,
)

from ticketing.infra.formats.currencies import DIGITS, digits_of
from ticketing.infra.formats.times import rfc3339
from ticketing.infra.http.characters import check_line, check_text, compose

#: Largest amount in minor units: of a price, of the total of an order, of a payment and of a refund. It is below 2^53,
#: the largest integer that JavaScript represents exactly.
AMOUNT_MAX = 10**12


class Body(BaseModel):
    """Base of request bodies. An unknown field is an error, because it is usually a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(from_attributes=True)


#: Octets of an address and of its part before the @: RFC 5321 §4.5.3.1, with the correction of RFC 3696 (erratum 1690).
EMAIL_OCTETS_MAX, LOCAL_PART_OCTETS_MAX = 254, 64


def _address_only(value: object) -> object:
    if isinstance(value, str):
        # The limit in octets follows; this one keeps the parser from reading a text of any length.
        if len(value) > EMAIL_OCTETS_MAX:
            raise ValueError(f"must have at most {EMAIL_OCTETS_MAX} characters")
        # `EmailStr` reads `Some Name <ada@example.com>` as the address in it: one address would have many spellings.
        if any(c in value for c in "<>"):
            raise ValueError("must be an address without a name, such as ada@example.com")
    return value


def _mailable(address: str) -> str:
    if len(address.encode()) > EMAIL_OCTETS_MAX:
        raise ValueError(f"must have at most {EMAIL_OCTETS_MAX} octets in UTF-8")
    if len(address.rpartition("@")[0].encode()) > LOCAL_PART_OCTETS_MAX:
        raise ValueError(f"must have at most {LOCAL_PART_OCTETS_MAX} octets before the @")
    return address


# The last validator runs first: all limits and checks see the composed text.
_composed = BeforeValidator(compose)

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(check_line), _composed
]
ShortName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), AfterValidator(check_line), _composed
]
LongText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=10_000), AfterValidator(check_text), _composed
]
#: What a client searches for; blank for everything.
SearchText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(check_text), _composed
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(check_line), _composed]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Email = Annotated[
    EmailStr,
    StringConstraints(max_length=EMAIL_OCTETS_MAX),
    AfterValidator(check_line),
    AfterValidator(_mailable),
    BeforeValidator(_address_only),
    _composed,
]
_email = TypeAdapter(Email)


def find_email(value: object) -> str | None:
    """Return the address exactly as a field of type `Email` has it; None for what such a field refuses."""
    try:
        return _email.validate_python(value)
    except ValidationError:
        return None


def _currency(code: str) -> str:
    if code not in DIGITS:
        raise ValueError("must be the ISO 4217 code of a currency in use, such as EUR")
    return code


@cache
def _time_zones() -> set[str]:
    return available_timezones()  # walks through the zone files, which takes 10 ms


def _timezone(name: str) -> str:
    if name not in _time_zones():
        raise ValueError("must be an IANA time zone, such as Europe/Amsterdam")
    return name


def _utc(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 2200:
        raise ValueError("must lie between the years 1970 and 2200")
    return moment.astimezone(UTC)


_DATED = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _text_only(value: object) -> object:
    # Pydantic reads a number, quoted or not, as seconds since 1970, which no client intends.
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATED.match(value)):
        raise ValueError("must be an RFC 3339 time, such as 2027-05-01T19:30:00Z")
    return value


Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), AfterValidator(_currency)]
Timezone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_timezone)]
Timestamp = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_utc)]

#: A timestamp in a response: RFC 3339 in UTC.
Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


class Money(Out):
    """An amount in minor units of an ISO 4217 currency: 4500 with two digits is 45.00."""

    amount: int
    currency: str

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know this order, which Pydantic requires
    @property
    def digits(self) -> int:
        """The number of digits of the currency's minor unit."""
        return digits_of(self.currency)
