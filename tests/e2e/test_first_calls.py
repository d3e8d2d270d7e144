"""The first two simultaneous calls of a process."""

from tests.support import forking


def test_the_first_two_calls_of_a_process_may_be_simultaneous() -> None:
    """Each function that runs in threads is called twice at once in several new processes, log-ins first of all."""
    process = forking.run("tests.e2e.first_calls")
    assert process.stdout.splitlines() == ["done"], process.stderr
