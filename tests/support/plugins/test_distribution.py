"""Tests that share something expensive run in one process."""

import pytest

from tests.support.plugins.distribution import GROUPS, group_of, rank_of


@pytest.mark.parametrize(("fixture", "group"), [("platform", "platform"), ("kafka_broker", "broker")])
def test_all_users_of_a_shared_server_are_in_its_group(
    request: pytest.FixtureRequest, fixture: str, group: str
) -> None:
    users = [item for item in request.session.items if fixture in getattr(item, "fixturenames", ())]
    assert [item.nodeid for item in users if group_of(item.nodeid) != group] == []


def test_groups_come_before_long_files_and_those_before_the_others() -> None:
    paths = ("tests/browser/test_buying.py", "tests/sweeps/test_response_fields.py", "tests/infra/test_log.py")
    ranks = [rank_of(f"{path}::test") for path in paths]
    assert ranks == sorted(ranks)
    assert ranks[0] < len(GROUPS) <= ranks[1] < ranks[2]
