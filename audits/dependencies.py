"""Queries the advisory service about every version in the runtime lock; a known vulnerability is a failure.

If the service is unavailable, the check prints a line and succeeds; with AUDIT=required it fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
#: The lock has every version and hash, so that nothing needs to be resolved, built or installed.
COMMAND = ("pip_audit", "-r", str(LOCK), "--no-deps", "--disable-pip", "--require-hashes", "--progress-spinner=off")
TIMEOUT_SECONDS = 30


def fetch_report() -> str:
    """The service's report as JSON; empty if there is none."""
    command = [sys.executable, "-m", *COMMAND, "--format=json", "--timeout=5"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        return ""


def evaluate(report: str, *, is_required: bool) -> tuple[int, list[str]]:
    """The exit status, and the lines to print.

    A dependency that the service does not know was not audited: every dependency is published there.
    """
    dependencies = _dependencies(report)
    vulnerabilities = [(each, found) for each in dependencies for found in each.get("vulns", [])]
    unknown = [each for each in dependencies if "skip_reason" in each]
    lines = [f"{each['name']} {each['version']}: {found['id']}, {_fixed_in(found)}" for each, found in vulnerabilities]
    is_incomplete = bool(unknown) or not dependencies
    if is_incomplete:
        which = f"{len(unknown)} of {len(dependencies)} dependencies" if dependencies else "The dependencies"
        lines.append(
            f"{which} were not audited: the advisory service is unavailable (with AUDIT=required, this is a failure)."
        )
    return int(bool(vulnerabilities) or (is_required and is_incomplete)), lines


def _dependencies(report: str) -> list[dict[str, Any]]:
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return []
    return dependencies


def _fixed_in(vulnerability: dict[str, Any]) -> str:
    versions = ", ".join(vulnerability.get("fix_versions", []))
    return f"fixed in {versions}" if versions else "not fixed yet"


def main() -> int:
    status, lines = evaluate(fetch_report(), is_required=os.environ.get("AUDIT") == "required")
    print("\n".join(lines) or "Dependencies: no known vulnerabilities.")
    return status


if __name__ == "__main__":
    sys.exit(main())
