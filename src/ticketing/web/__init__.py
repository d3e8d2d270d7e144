"""The browser side: static ES modules and a few pages whose facts are readable without script."""

from ticketing.web.pages import FindEvent, ListEvents, mount_web

__all__ = ["FindEvent", "ListEvents", "mount_web"]
