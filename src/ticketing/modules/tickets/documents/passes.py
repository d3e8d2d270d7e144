"""What stands on a ticket, whatever it is written on: a page, a PDF, a calendar."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Place:
    """A seat as people look for it."""

    section: str
    row: str
    seat: str


@dataclass(frozen=True, slots=True)
class Pass:
    """One ticket with everything around it. `price_minor` is in minor units of `currency`; times are in UTC."""

    ticket_id: UUID
    organization: str
    title: str
    starts_at: datetime
    ends_at: datetime | None
    #: The venue's, by its IANA name; UTC where there is no venue.
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
        """When it starts by the clock on the venue's wall."""
        return self.starts_at.astimezone(ZoneInfo(self.timezone))

    @property
    def ends_here(self) -> datetime | None:
        return self.ends_at.astimezone(ZoneInfo(self.timezone)) if self.ends_at else None

    @property
    def where(self) -> str:
        """The venue and its city, as one line."""
        return ", ".join(part for part in (self.venue, self.city) if part)
