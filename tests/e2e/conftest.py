"""These tests speak to the running platform over real sockets."""

from tests.platform import client, world

__all__ = ["client", "world"]
