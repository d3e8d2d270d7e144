"""The command line; `ticketing --help` lists the commands."""

from ticketing.cli.app import app

__all__ = ["app"]
