"""The table of permissions in docs/security.md: who may do what, by role."""

from collections.abc import Iterator

from ticketing.modules.organizations.models import Role
from ticketing.modules.organizations.permissions import HOLDERS, USERS_ONLY, NonMember, Permission

BEGIN, END = "<!-- permissions -->", "<!-- /permissions -->"
_COLUMNS = (*Role, *NonMember)


def render() -> str:
    """The section between the two marks."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "| may | " + " | ".join(f"`{column}`" for column in _COLUMNS) + " | as an API key |"
    yield "|---|" + ":-:|" * (len(_COLUMNS) + 1)
    for permission in Permission:
        cells = ["yes" if column in HOLDERS[permission] else "" for column in _COLUMNS]
        # An API key has one of the roles of members, so it may do only what one of those may do.
        cells.append("" if permission in USERS_ONLY or not HOLDERS[permission] & set(Role) else "yes")
        yield f"| {permission.value} | " + " | ".join(cells) + " |"


def write(document: str) -> str:
    """The page with its section rewritten. Raises ValueError when it has no such section."""
    if BEGIN not in document or END not in document:
        raise ValueError(f"The page needs the lines {BEGIN} and {END}.")
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}"
