"""The web front end: static ES modules without a build step, and pages that are readable without JavaScript."""

from ticketing.web.pages import FindEvent, ListEvents, mount_web
from ticketing.web.shell import render_event, render_home

__all__ = ["FindEvent", "ListEvents", "mount_web", "render_event", "render_home"]
