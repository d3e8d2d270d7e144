"""Times as programs read them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Format as `2027-05-01T19:30:00Z`, with microseconds when they are not zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
