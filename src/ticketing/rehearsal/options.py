"""The options of a rehearsal and their limits."""

from dataclasses import dataclass, fields
from pathlib import Path
from uuid import UUID

from ticketing.infra.config import ConfigurationError

#: The lowest and the highest allowed value of each number. Shares are between 0 and 1.
LIMITS: dict[str, tuple[float, float]] = {
    "buyers": (1, 100_000),
    "connections": (1, 10_000),
    "processes": (1, 32),
    "hold_seconds": (5, 3600),
    "ramp_seconds": (0, 3600),
    "herd_seconds": (0, 600),
    "think_seconds": (0, 600),
    "limit_seconds": (1, 7200),
    "abandon_share": (0, 1),
    "cancel_share": (0, 1),
    "replay_share": (0, 1),
    "tries": (1, 100),
    "max_503_share": (0, 1),
    "max_429_share": (0, 1),
    "max_p99_seconds": (0.001, 600),
    "max_lag_seconds": (1, 3600),
}


@dataclass(frozen=True, slots=True)
class RehearsalOptions:
    """The options of one rehearsal. Shares are between 0 and 1."""

    event_id: UUID
    buyers: int = 1000
    seed: int = 1
    #: Buyers arrive at an increasing rate before the sale opens; then all of them click within `herd_seconds`.
    ramp_seconds: float = 10
    herd_seconds: float = 3
    #: The longest time that a buyer takes to fill in a form.
    think_seconds: float = 4
    #: Time from the opening until buyers that are still active are stopped.
    limit_seconds: float = 300
    hold_seconds: int = 30
    abandon_share: float = 0.1
    cancel_share: float = 0.05
    replay_share: float = 0.05
    #: How often a buyer tries to hold seats.
    tries: int = 8
    payments: bool = True
    connections: int = 1000
    processes: int = 2
    max_503_share: float = 0.05
    max_429_share: float = 0.02
    max_p99_seconds: float = 2
    max_lag_seconds: float = 30
    html: Path | None = None
    json: Path | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError, with the name of the option and its limits."""
        for field in fields(self):
            low, high = LIMITS.get(field.name, (None, None))
            if low is not None and high is not None and not low <= getattr(self, field.name) <= high:
                raise ConfigurationError(f"--{field.name.replace('_', '-')}: must lie between {low:g} and {high:g}")
        if self.abandon_share + self.cancel_share > 1:
            raise ConfigurationError("--abandon-share and --cancel-share: must not add up to more than 1")
        for path in (self.html, self.json):
            if path is not None and not path.absolute().parent.is_dir():
                raise ConfigurationError(f"{path}: its folder does not exist")


class RehearsalError(Exception):
    """A rehearsal is impossible, or was interrupted; the text is one sentence."""
