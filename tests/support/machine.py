"""What tests need of the machine. A missing part skips a test, or fails it under CI, with the reason."""

import os
import time
from typing import NoReturn

import pytest


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; with CI=true fail it, because a skipped test would go unnoticed there."""
    if in_ci():
        pytest.fail(f"CI must run this test: {reason}", pytrace=False)
    pytest.skip(reason)


def stretched(seconds: float) -> float:
    """A wall-clock limit, lengthened by the present load of the machine.

    The load is measured as the wall-clock time that 0.1 s of CPU time takes.
    """
    wall, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < 0.1:
        sum(range(1000))
    slowdown = (time.monotonic() - wall) / (time.process_time() - cpu)
    # A margin, because the load may have been higher a moment ago.
    return seconds * (1 + 3 * max(slowdown - 1, 0.5))
