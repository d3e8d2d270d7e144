"""The web front end: static ES modules without a build step, and pages that are readable without JavaScript."""

from ticketing.web.pages import FindEvent, ListEvents, mount_web

__all__ = ["FindEvent", "ListEvents", "mount_web"]
