"""Response bodies of availability."""

from uuid import UUID

from pydantic import Field

from ticketing.infra.http.fields import Out


class AreaOut(Out):
    """A general-admission type: its capacity, and the available places."""

    capacity: int
    available: int


class AvailabilityOut(Out):
    """The whole seat map."""

    #: The version of the stream at which this map was read.
    version: int
    seats: str = Field(description="One letter per seat, at the index of its number: a, h, s or b", examples=["aahsb"])
    areas: dict[UUID, AreaOut]
    plan_version: int | None = Field(description="Of the seat map that these letters are of; load it if it has changed")
