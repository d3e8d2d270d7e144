"""The data that is printed on a ticket, independent of the file format."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of a seat's label."""

    section: str
    row: str
    seat: str


@dataclass(frozen=True, slots=True)
class Pass:
    """A ticket with its event, venue and order. `price_minor` is in minor units of `currency`. Times are in UTC."""

    ticket_id: UUID
    organization: str
    title: str
    starts_at: datetime
    ends_at: datetime | None
    #: IANA name of the venue's time zone; UTC without a venue.
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
    is_event_cancelled: bool = False

    @property
    def starts_here(self) -> datetime:
        """Start of the event in the venue's local time."""
        return self.starts_at.astimezone(ZoneInfo(self.timezone))

    @property
    def ends_here(self) -> datetime | None:
        return self.ends_at.astimezone(ZoneInfo(self.timezone)) if self.ends_at else None

    @property
    def where(self) -> str:
        """The venue and its city on one line."""
        return ", ".join(part for part in (self.venue, self.city) if part)

    @property
    def zone_label(self) -> str:
        """The time zone as buyers read it: `Amsterdam time`."""
        return "UTC" if self.timezone == "UTC" else f"{self.timezone.rpartition('/')[2].replace('_', ' ')} time"
