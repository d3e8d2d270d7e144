"""Answers about availability."""

from uuid import UUID

from pydantic import Field

from ticketing.infra.http.fields import Out


class AreaOut(Out):
    """A general-admission type: how many places there are, and how many can be had."""

    capacity: int
    available: int


class AvailabilityOut(Out):
    """The whole map in one line."""

    #: The version of the stream that this map belongs to.
    version: int
    seats: str = Field(description="One letter per seat, at the index of its number: a, h, s or b", examples=["aahsb"])
    areas: dict[UUID, AreaOut]
