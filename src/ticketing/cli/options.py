"""Options that several commands share."""

from typing import Annotated

import typer

SINCE_HELP = "Start of the range: a time such as 2026-11-21T18:00:00Z, or an age such as 30m, 2h or 3d."
Since = Annotated[str | None, typer.Option(help=SINCE_HELP)]

#: A command that cannot be undone only reports what it would do, unless this option is given.
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without this option, only report what would be done.")]
