"""End-to-end tests: HTTP over real sockets against a running platform."""

from tests.support.platform import client, world

__all__ = ["client", "world"]
