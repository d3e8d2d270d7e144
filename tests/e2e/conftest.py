"""These tests speak to the running platform over real sockets."""

from tests.support.platform import client, world

__all__ = ["client", "world"]
