"""What a test needs from the machine it runs on: elsewhere a missing part skips, in CI it fails, and both say why."""

import os
import time
from typing import NoReturn

import pytest


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def skip_or_fail(reason: str) -> NoReturn:
    """With CI=true a proof must never go missing unseen, so there the reason is a failure."""
    if in_ci():
        pytest.fail(f"CI must run this test: {reason}", pytrace=False)
    pytest.skip(reason)


def stretched(seconds: float) -> float:
    """A limit of wall-clock time, as much longer as other processes slow this one down at the moment.

    The measure is how much wall-clock time a tenth of a second of CPU time takes.
    """
    wall, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < 0.1:
        sum(range(1000))
    slowdown = (time.monotonic() - wall) / (time.process_time() - cpu)
    # The load may have been heavier a moment ago.
    return seconds * (1 + 3 * max(slowdown - 1, 0.5))
