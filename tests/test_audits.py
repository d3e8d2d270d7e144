"""What `make lint` finds in dependencies and files, and what it says."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from audits.changed_tests import select_tests
from audits.dependencies import judge
from audits.secrets import find_secrets, list_files

# In two parts each, so that this file holds none.
PLANTED = {
    "a key of a cloud": "key = 'AKIA" + "Q3EGP7TUMZXKVN5B'",
    "a key of a payment provider": "key = 'sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc'",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in an address": "url = 'postgresql://app:" + "Xk2vPq8Z@db.internal/shop'",
    "a secret by its name": "JWT_" + "SECRET = 'kfj4-33nd-9xma-04qp'",
    "a long random text": "x = '" + "mfB0n2sQ1rVzYxLw7dKhUe5gTjPa8cRoXi3tNvE4'",
}
WHOLE = {"name": "fastapi", "version": "1.0", "vulns": []}
HOLED = {**WHOLE, "name": "pyjwt", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "orjson", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize("line", PLANTED.values(), ids=PLANTED)
def test_a_planted_secret_is_found(tmp_path: Path, line: str) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "deploy.py").write_text(f"# New, and not known to git.\n{line}\n")
    names = list(list_files(tmp_path))
    assert names == ["deploy.py"]
    assert {name for name, _ in find_secrets(tmp_path, names)} == {"deploy.py"}


def test_what_is_ignored_is_not_looked_at(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(".env\n")
    (tmp_path / ".env").write_text(PLANTED["a key of a cloud"])
    assert list(list_files(tmp_path)) == [".gitignore"]


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


@pytest.mark.parametrize("is_required", [True, False])
def test_a_known_hole_fails_and_says_what_mends_it(is_required: bool) -> None:
    status, said = judge(report(WHOLE, HOLED), is_required=is_required)
    assert (status, said) == (1, ["pyjwt 1.0: PYSEC-2026-1, mended in 2.1"])
    assert judge(report(UNKNOWN, HOLED), is_required=is_required)[0] == 1


@pytest.mark.parametrize("is_required", [True, False])
def test_dependencies_without_a_hole_pass_in_silence(is_required: bool) -> None:
    assert judge(report(WHOLE), is_required=is_required) == (0, [])


@pytest.mark.parametrize("answer", ["", "<html>", "{}", "[]", report(), report(UNKNOWN), report(WHOLE, UNKNOWN)])
def test_what_could_not_be_asked_is_said_in_one_line_and_fails_only_where_it_must_not_be_so(answer: str) -> None:
    status, said = judge(answer, is_required=False)
    assert (status, len(said)) == (0, 1)
    assert "not audited" in said[0]
    assert judge(answer, is_required=True)[0] == 1


def test_changed_files_lead_to_their_tests(tmp_path: Path) -> None:
    for name in ("infra/db/test_session.py", "modules/orders/test_orders.py", "browser/test_buying.py"):
        (tmp_path / "tests" / name).parent.mkdir(parents=True)
        (tmp_path / "tests" / name).touch()
    changed = [
        "src/ticketing/infra/db/session.py",
        "src/ticketing/modules/orders/sub/checkout.py",
        "src/ticketing/modules/orders/api.py",
        "tests/browser/test_buying.py",
        "migrations/versions/new.py",
        "README.md",
    ]
    # The folder of the migrations' tests takes the place of a file in it.
    assert select_tests(changed, tmp_path) == ["tests/modules/orders", "tests/infra/db"]
    assert select_tests(changed[:1], tmp_path) == ["tests/infra/db/test_session.py"]
