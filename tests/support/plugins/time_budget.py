"""`--seconds 45`: a run that ends in time, for `make check`. Tests that would begin later are skipped.

The time counts from the first test of the process, so that some tests run however long the start took.
"""

import time

import pytest

_began: list[float] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=0, help="skip the tests that would begin later")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--seconds")
    _began.append(time.monotonic())
    if _began[-1] - _began[0] > seconds:
        pytest.skip(f"left to `make test` after {seconds:.0f} s")
