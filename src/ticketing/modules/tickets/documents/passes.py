"""The data that is printed on a ticket, independent of the file format."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ticketing.infra.formats.calendar_file import Revision
from ticketing.infra.formats.directions import isolate
from ticketing.infra.formats.local_time import to_zone


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of a seat's label, and how the venue calls the row and the seat if not "Row A" and "Seat 12"."""

    section: str
    row: str
    seat: str
    row_label: str | None = None
    seat_label: str | None = None

    @property
    def row_text(self) -> str:
        """What stands under the heading "Row"."""
        return self.row_label or self.row

    @property
    def seat_text(self) -> str:
        return self.seat_label or self.seat


@dataclass(frozen=True, slots=True)
class Pass:
    """A ticket with its event, venue and order. `price_minor` is in minor units of `currency`. Times are in UTC."""

    ticket_id: UUID
    organization: str
    title: str
    starts_at: datetime
    ends_at: datetime | None
    #: IANA name of the event's time zone.
    timezone: str
    venue: str | None
    city: str | None
    place: Place | None
    kind: str
    holder: str
    price_minor: int
    currency: str
    reference: str
    code: str
    #: That of the event, for calendar files.
    revision: Revision

    @property
    def starts_here(self) -> datetime:
        """Start of the event in its time zone."""
        return to_zone(self.starts_at, self.timezone)

    @property
    def ends_here(self) -> datetime | None:
        return to_zone(self.ends_at, self.timezone) if self.ends_at else None

    @property
    def where(self) -> str:
        """The venue and its city on one line."""
        return ", ".join(isolate(part) for part in (self.venue, self.city) if part)
