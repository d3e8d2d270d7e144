"""Calendar files (RFC 5545) whose entries replace those of earlier files, by the rules of RFC 5546."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parseaddr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import icalendar


@dataclass(frozen=True, slots=True)
class Revision:
    """The state of what an entry describes. An entry replaces one of the same UID and a lower `sequence`."""

    sequence: int
    changed_at: datetime
    is_cancelled: bool = False

    @property
    def method(self) -> str:
        """The METHOD of the file, which the media type of an email's part has to repeat (RFC 6047 §2.4)."""
        return "CANCEL" if self.is_cancelled else "PUBLISH"


def calendar_file(
    entries: "Sequence[icalendar.Event]",
    revision: Revision,
    *,
    product: str,
    publisher: str,
    sender: str,
    years: tuple[int, int] | None = None,
) -> bytes:
    """Build the file of entries of one revision, each with its UID, times and texts.

    `publisher` is a name, `sender` the platform's mailbox, and `years` the first and the last year
    of time zone rules, if a time is in a zone.
    """
    # Imported on first use: the import would take a tenth of a process's start-up time.
    from icalendar import Calendar, vCalAddress

    calendar = Calendar()
    calendar.add("prodid", f"-//ticketing//{product}//EN")
    calendar.add("version", "2.0")
    calendar.add("method", revision.method)
    # RFC 5546 §3.2 requires ORGANIZER; the name is the one that people know.
    address = vCalAddress(f"mailto:{parseaddr(sender)[1]}")
    # A quotation mark cannot stand in a parameter (RFC 5545 §3.1).
    address.params["CN"] = publisher.replace('"', "'")
    now = datetime.now(UTC)
    for entry in entries:
        # With a METHOD, the time at which this file was made (RFC 5545 §3.8.7.2).
        entry.add("dtstamp", now)
        entry.add("last-modified", revision.changed_at.astimezone(UTC))
        entry.add("sequence", revision.sequence)
        entry.add("status", "CANCELLED" if revision.is_cancelled else "CONFIRMED")
        entry["ORGANIZER"] = address
        calendar.add_component(entry)
    if years is not None:
        # Not the library's default, which covers 1970 to 2037.
        calendar.add_missing_timezones(date(years[0], 1, 1), date(years[1] + 1, 1, 1))
    return bytes(calendar.to_ical())
