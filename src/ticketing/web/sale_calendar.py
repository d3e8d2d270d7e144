"""The start of an event's sale as a calendar entry with a reminder."""

from datetime import UTC, timedelta

from ticketing.infra.formats.calendar_file import Revision, calendar_file
from ticketing.web.sales import Event, moment

DURATION = timedelta(minutes=30)
REMINDER = timedelta(minutes=-10)


def sale_calendar(event: Event, url: str, sender: str) -> bytes:
    """Build an iCalendar file (RFC 5545) for an event with `sales_start_at`. `url` is the event's page.

    The UID is derived from the event's id, so that each file replaces the earlier ones.
    """
    # Imported on first use: the import would take a tenth of a process's start-up time.
    from icalendar import Alarm
    from icalendar import Event as Entry

    starts_at = moment(event["sales_start_at"]).astimezone(UTC)
    summary = f"Tickets on sale: {event['title']}"
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", REMINDER)
    entry = Entry()
    entry.add("uid", f"{event['id']}-sale@ticketing")
    entry.add("summary", summary)
    entry.add("dtstart", starts_at)
    entry.add("dtend", starts_at + DURATION)
    entry.add("description", url)
    entry.add("url", url)
    entry.add_component(alarm)
    is_cancelled = event["status"] == "cancelled"
    revision = Revision(event["calendar_sequence"], moment(event["calendar_changed_at"]), is_cancelled)
    publisher = event["organization"]["name"]
    return calendar_file([entry], revision, product="sales", publisher=publisher, sender=sender)
