"""Compare published lines with current lines: what is gone, what clients must now send, and what is new."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: A request field or parameter without which a request is refused. `owner` is the schema or operation it belongs to.
_DEMAND = re.compile(r"(?P<owner>input \w+|operation \w+ \S+)(?:\.| parameter | body ).* required\b")


@dataclass(frozen=True)
class Changes:
    """The difference between two lists of lines."""

    #: Published and no longer produced. A changed type or default shows up here, and its new form in `new`.
    gone: list[str]
    #: New lines that break existing clients: a field or parameter became mandatory on something already published.
    demanded: list[str]
    #: New lines that break nobody.
    new: list[str]

    @property
    def breaking(self) -> list[str]:
        return [f"gone or changed: {line}" for line in self.gone] + [f"now demanded: {line}" for line in self.demanded]


def compare(published: Iterable[str], current: Iterable[str]) -> Changes:
    """Compare as sets: order carries no meaning."""
    before, now = set(published), set(current)
    owners = {match["owner"] for line in before if (match := _OWNER.match(line))}
    added = sorted(now - before)
    demanded = [line for line in added if (match := _DEMAND.match(line)) and match["owner"] in owners]
    return Changes(sorted(before - now), demanded, [line for line in added if line not in demanded])


_OWNER = re.compile(r"(?P<owner>input \w+|operation \w+ \S+)")
