"""Prints the table of permissions into docs/security.md: `make docs`, or this file with the document's path.

A test compares the two, so the document says what the code does.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ticketing.modules.organizations.models import Role
from ticketing.modules.organizations.permissions import HOLDERS, PEOPLE_ONLY, Guest, Permission

BEGIN, END = "<!-- permissions -->", "<!-- /permissions -->"
_COLUMNS = (*Role, *Guest)


def render() -> str:
    """The section between the two marks."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| may | " + " | ".join(f"`{column}`" for column in _COLUMNS) + " | as an API key |"
    yield "|---|" + ":-:|" * (len(_COLUMNS) + 1)
    for permission in Permission:
        cells = ["yes" if column in HOLDERS[permission] else "" for column in _COLUMNS]
        # A key has one of the members' roles, so where these may do nothing it may not either.
        cells.append("" if permission in PEOPLE_ONLY or not HOLDERS[permission] & set(Role) else "yes")
        yield f"| {permission.value} | " + " | ".join(cells) + " |"


def write(document: str) -> str:
    """The document with its section as it should be. Raises ValueError when it has none."""
    if BEGIN not in document or END not in document:
        raise ValueError(f"The document needs the lines {BEGIN} and {END}.")
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(write(path.read_text()))
