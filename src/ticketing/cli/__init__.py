"""The command line; `ticketing --help` lists the commands.

Start-up time: the modules that declare commands import only what the declarations need, and each command imports its
action, from `cli.actions`, when it runs. This is the only package that imports inside functions for that reason.
Measured in CPU seconds: importing the declarations takes 0.3, and each of these adds to it: `ticketing.infra.db`
(SQLAlchemy) 0.6, `ticketing.main` 1.4, `ticketing.workers` 1.7, everything together 1.8. `ticketing up` runs `migrate`,
`serve`, `worker` and `seed` as separate processes, most of which would pay for modules that they do not use before they
are ready.
"""

from ticketing.cli.app import app

__all__ = ["app"]
