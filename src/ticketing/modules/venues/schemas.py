"""Request and response bodies of venues."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from ticketing.infra.http.fields import Body, Moment, Name, Out, ShortName, Timezone
from ticketing.modules.venues.plans import ROWS_MAX, SEATS_PER_ROW_MAX, SECTIONS_MAX

#: ISO 3166-1 alpha-2.
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]

Coordinate = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]


class CreateRow(Body):
    """A row of seats, numbered from 1."""

    name: ShortName
    seats: Annotated[int, Field(strict=True, ge=1, le=SEATS_PER_ROW_MAX)]


class CreateSection(Body):
    name: ShortName
    category: ShortName
    rows: Annotated[list[CreateRow], Field(min_length=1, max_length=ROWS_MAX)]


class FocalPoint(Body):
    """What the audience looks at, in units of the plan as in the seat map: x to the right, y down."""

    x: Coordinate
    y: Coordinate


class CreateVenue(Body):
    """A venue described by sections, rows and numbers of seats. Without sections it has standing places only.

    The best seats are those nearest to the `focal_point`: by default, in front of the middle of the first rows.
    """

    name: Name
    city: Name | None = None
    country: Country | None = None
    timezone: Timezone
    sections: Annotated[list[CreateSection], Field(max_length=SECTIONS_MAX, default_factory=list)]
    focal_point: FocalPoint | None = None


class ImportOptions(Body):
    """Fields of a venue that an imported file lacks or that override it."""

    name: Name | None = None
    city: Name | None = None
    country: Country | None = None
    timezone: Timezone = "UTC"


class ImportPlan(Body):
    """The query parameters of an import into a venue."""

    format: Literal["pretix"]


class ImportVenue(ImportOptions, ImportPlan):
    """The query parameters of an import."""


class CreatePlan(Body):
    """A new version of a venue's plan, described like that of a new venue."""

    sections: Annotated[list[CreateSection], Field(max_length=SECTIONS_MAX)]
    focal_point: FocalPoint | None = None


class NoteOut(Out):
    """What is to be said of a place in a file: its path, JSON pointer (RFC 6901), line and column."""

    path: str
    pointer: str
    line: int | None
    column: int | None
    message: str


class VenueOut(Out):
    id: UUID
    name: str
    city: str | None
    country: str | None
    timezone: str
    capacity: int
    plan_version: int
    created_at: Moment


class ImportedVenueOut(VenueOut):
    """A venue whose plan was imported, with what was read differently than the file has it: the first 100 places."""

    warnings: list[NoteOut]
    more_warnings: int


class CategoryCountOut(Out):
    name: str
    color: str
    seats: int


class SectionCountOut(Out):
    name: str
    rows: int
    seats: int


class PreviewOut(Out):
    """A file as it would be imported. `layout` has the form of an event's seat map."""

    name: str
    capacity: int
    categories: list[CategoryCountOut]
    sections: list[SectionCountOut]
    warnings: list[NoteOut]
    more_warnings: int
    layout: dict[str, Any]
