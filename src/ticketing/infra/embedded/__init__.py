"""PostgreSQL and Valkey from wheels, started as child processes."""

from ticketing.infra.embedded.server import (
    EmbeddedServer,
    wheel_folder,
)

__all__ = [
    "EmbeddedServer",
    "wheel_folder",
]
