"""The audits of `make lint` find vulnerable dependencies and secrets; `make check` finds the tests of changed files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from audits.changed_tests import select_tests
from audits.dependencies import evaluate
from audits.secrets import find_secrets, list_files

# Each in two parts, so that this file contains no secret.
SECRETS = {
    "a cloud key": "key = 'AKIA" + "Q3EGP7TUMZXKVN5B'",
    "a key of a payment provider": "key = 'sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc'",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in a URL": "url = 'postgresql://app:" + "Xk2vPq8Z@db.internal/shop'",
    "a secret by its name": "JWT_" + "SECRET = 'kfj4-33nd-9xma-04qp'",
    "a long random text": "x = '" + "mfB0n2sQ1rVzYxLw7dKhUe5gTjPa8cRoXi3tNvE4'",
}
SAFE = {"name": "fastapi", "version": "1.0", "vulns": []}
VULNERABLE = {**SAFE, "name": "pyjwt", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "orjson", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize("line", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found(tmp_path: Path, line: str) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "deploy.py").write_text(f"# New, and untracked.\n{line}\n")
    names = list(list_files(tmp_path))
    assert names == ["deploy.py"]
    assert {name for name, _ in find_secrets(tmp_path, names)} == {"deploy.py"}


def test_ignored_files_are_not_searched(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text(".env\n")
    (tmp_path / ".env").write_text(SECRETS["a cloud key"])
    assert list(list_files(tmp_path)) == [".gitignore"]


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


@pytest.mark.parametrize("is_required", [True, False])
def test_a_vulnerability_is_a_failure_and_its_fix_is_named(is_required: bool) -> None:
    status, lines = evaluate(report(SAFE, VULNERABLE), is_required=is_required)
    assert (status, lines) == (1, ["pyjwt 1.0: PYSEC-2026-1, fixed in 2.1"])
    assert evaluate(report(UNKNOWN, VULNERABLE), is_required=is_required)[0] == 1


@pytest.mark.parametrize("is_required", [True, False])
def test_safe_dependencies_pass_without_output(is_required: bool) -> None:
    assert evaluate(report(SAFE), is_required=is_required) == (0, [])


@pytest.mark.parametrize("content", ["", "<html>", "{}", "[]", report(), report(UNKNOWN), report(SAFE, UNKNOWN)])
def test_an_incomplete_report_is_one_line_and_a_failure_only_if_required(content: str) -> None:
    status, lines = evaluate(content, is_required=False)
    assert (status, len(lines)) == (0, 1)
    assert "not audited" in lines[0]
    assert evaluate(content, is_required=True)[0] == 1


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
    # The folder of the migrations' tests replaces a file in it.
    assert select_tests(changed, tmp_path) == ["tests/modules/orders", "tests/infra/db"]
    assert select_tests(changed[:1], tmp_path) == ["tests/infra/db/test_session.py"]
