"""`--seconds 45`, for `make check`: tests that would begin later are skipped."""

import time

import pytest

_began = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=0, help="skip the tests that would begin later")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seconds = item.config.getoption("--seconds")
    if time.monotonic() - _began > seconds:
        pytest.skip(f"left to `make test` after {seconds:.0f} s")
