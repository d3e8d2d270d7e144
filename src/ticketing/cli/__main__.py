"""`python -m ticketing.cli` runs `ticketing`."""

import sys

from ticketing.cli.app import app

if __name__ == "__main__":
    sys.exit(app(prog_name="ticketing"))
