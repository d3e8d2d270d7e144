"""Request and response bodies of events, ticket types and seats."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from ticketing.infra.http.fields import (
    AMOUNT_MAX,
    Body,
    Currency,
    Label,
    LongText,
    Moment,
    Money,
    Name,
    Out,
    ShortName,
    Timestamp,
    Timezone,
)
from ticketing.modules.events.models import EventStatus

CAPACITY_MAX = 1_000_000
SEATS_PER_BLOCK_MAX = 10_000

HoldSeconds = Annotated[int, Field(strict=True, ge=5, le=3600)]
PerOrder = Annotated[int, Field(strict=True, ge=1, le=1000)]
PerBuyer = Annotated[
    int, Field(strict=True, ge=1, le=1000, description="Over all orders of one person; null: no limit")
]
PerHolder = Annotated[
    int,
    Field(strict=True, ge=1, le=100_000, description="Held by one person at one time; null: the platform's setting"),
]


class CreateEvent(Body):
    """The event is created as a draft."""

    title: Name
    venue_id: UUID | None = None
    timezone: Timezone | None = Field(None, description="Required without a venue, whose time zone it is otherwise")
    starts_at: Timestamp
    ends_at: Timestamp | None = None
    currency: Currency
    description: LongText | None = None
    sales_start_at: Timestamp | None = None
    sales_end_at: Timestamp | None = None
    hold_seconds: HoldSeconds = 300
    max_per_order: PerOrder = 10
    max_per_buyer: PerBuyer | None = None
    max_held_per_buyer: PerHolder | None = None


class UpdateEvent(Body):
    """Omitted fields stay unchanged; null clears an optional field."""

    title: Name | None = None
    venue_id: UUID | None = None
    timezone: Timezone | None = None
    starts_at: Timestamp | None = None
    ends_at: Timestamp | None = None
    currency: Currency | None = None
    description: LongText | None = None
    sales_start_at: Timestamp | None = None
    sales_end_at: Timestamp | None = None
    hold_seconds: HoldSeconds | None = None
    max_per_order: PerOrder | None = None
    max_per_buyer: PerBuyer | None = None
    max_held_per_buyer: PerHolder | None = None

    @field_validator("title", "timezone", "starts_at", "currency", "hold_seconds", "max_per_order")
    @classmethod
    def _not_empty(cls, given: Any) -> Any:
        if given is None:
            raise ValueError("can't be empty")
        return given


class CreateTicketType(Body):
    """Either prices seats by their categories, or has a capacity of its own (general admission)."""

    name: Name
    price: Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX, description="Minor units of the event's currency")]
    capacity: Annotated[int, Field(strict=True, ge=1, le=CAPACITY_MAX)] | None = None
    categories: Annotated[list[ShortName], Field(min_length=1, max_length=200)] | None = None
    max_per_order: PerOrder | None = None


class ChooseSeats(Body):
    seats: Annotated[list[Label], Field(min_length=1, max_length=SEATS_PER_BLOCK_MAX)]

    @field_validator("seats")
    @classmethod
    def _no_duplicates(cls, seats: list[str]) -> list[str]:
        if len(set(seats)) < len(seats):
            raise ValueError("names a seat twice")
        return seats


class OrganizationBrief(Out):
    id: UUID
    name: str
    slug: str


class VenueBrief(Out):
    id: UUID
    name: str
    city: str | None
    country: str | None
    timezone: str


class TicketTypeOut(Out):
    """The counts are for general admission, and null for a type that prices seats."""

    id: UUID
    event_id: UUID
    name: str
    price: Money
    capacity: int | None
    available: int | None
    held: int | None
    sold: int | None
    categories: list[str]
    max_per_order: int | None


class CategoryAvailability(Out):
    """The seats of one category; the remainder is sold or blocked."""

    available: int
    held: int


class Availability(Out):
    """Seats and places together; the remainder is blocked."""

    capacity: int = 0
    available: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0
    #: The seats by category; without places.
    categories: dict[str, CategoryAvailability] = Field(default_factory=dict)


class EventOut(Out):
    id: UUID
    organization: OrganizationBrief
    title: str
    description: str | None
    status: EventStatus
    starts_at: Moment
    ends_at: Moment | None
    timezone: str
    currency: str
    digits: int
    venue: VenueBrief | None
    sales_start_at: Moment | None
    sales_end_at: Moment | None
    hold_seconds: int
    max_per_order: int
    max_per_buyer: int | None
    max_held_per_buyer: int | None
    has_seats: bool
    plan_version: int | None
    price_from: Money | None
    ticket_types: list[TicketTypeOut]
    availability: Availability
    created_at: Moment
    #: SEQUENCE and LAST-MODIFIED of the event's calendar files.
    calendar_sequence: int
    calendar_changed_at: Moment


class LostSeatOut(Out):
    """A held or sold seat that the venue's latest plan does not have."""

    number: int
    label: str
    status: Literal["held", "sold"]


class PlanChangeOut(Out):
    """What a sync changes, in numbers of seats. It is refused if it would lose a seat or leave a category unpriced."""

    is_possible: bool
    kept: int
    added: int
    removed: int = Field(description="available and blocked seats that the latest plan does not have")
    removed_blocked: int = Field(description="the blocked ones among them")
    recategorized: int = Field(description="seats of another category; what was sold keeps its price")
    lost_count: int
    lost: list[LostSeatOut] = Field(description="the first 100")
    unpriced: list[str] = Field(description="categories without a price, if the event is published")


class SyncedOut(Out):
    """The event's seats and their plan; with `changes`, as they would be after a sync."""

    seats: int
    plan_version: int
    changes: PlanChangeOut | None = None


class BlockedOut(Out):
    seats: int


class SeatOut(Out):
    """A seat of an event, with its current status."""

    number: int
    label: str
    section: str
    row: str
    seat: str
    category: str
    status: Literal["available", "held", "sold", "blocked"]
    price: Money | None
    x: float | None
    y: float | None
    version: int
    row_label: str | None
    seat_label: str | None


class LayoutSeatOut(Out):
    number: int
    label: str
    section: str
    row: str
    seat: str
    category: str
    x: float | None
    y: float | None
    row_label: str | None = Field(None, description='how the row is called, such as "Reihe A"; missing for "Row A"')
    seat_label: str | None = Field(None, description='how the seat is called; missing for "Seat 12"')
    position: int | None = Field(None, description="place in the order of the plan; missing where it is the number")


class CategoryOut(Out):
    name: str
    color: str


class SeatmapOut(Out):
    """The layout of the seats. For the OpenAPI document only: Postgres builds the JSON."""

    plan_version: int | None
    width: float
    height: float
    seats: list[LayoutSeatOut]
    categories: list[CategoryOut]
    areas: list[dict[str, Any]]
