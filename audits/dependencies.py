"""Ask the advisory service about every version of the runtime lock; a known vulnerability fails.

Where the service can't be asked, that is said in one line and the rest goes on; with AUDIT=required it fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
#: The lock has every version and hash, so nothing is resolved, built or installed to be asked about.
COMMAND = ("pip_audit", "-r", str(LOCK), "--no-deps", "--disable-pip", "--require-hashes", "--progress-spinner=off")
TIMEOUT_SECONDS = 30


def ask() -> str:
    """The service's report as JSON; empty when there is none."""
    command = [sys.executable, "-m", *COMMAND, "--format=json", "--timeout=5"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        return ""


def judge(report: str, *, is_required: bool) -> tuple[int, list[str]]:
    """The exit status and what to say.

    A dependency that the service does not know has not been audited: all of ours are published there.
    """
    known = _dependencies(report)
    holes = [(each, hole) for each in known for hole in each.get("vulns", [])]
    unknown = [each for each in known if "skip_reason" in each]
    said = [f"{each['name']} {each['version']}: {hole['id']}, {_mended(hole)}" for each, hole in holes]
    is_unanswered = bool(unknown) or not known
    if is_unanswered:
        which = f"{len(unknown)} of {len(known)} dependencies" if known else "The dependencies"
        said.append(f"{which} were not audited: the advisory service can't be asked (AUDIT=required makes this fail).")
    return int(bool(holes) or (is_required and is_unanswered)), said


def _dependencies(report: str) -> list[dict[str, Any]]:
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return []
    return dependencies


def _mended(hole: dict[str, Any]) -> str:
    versions = ", ".join(hole.get("fix_versions", []))
    return f"mended in {versions}" if versions else "not mended yet"


def main() -> int:
    status, said = judge(ask(), is_required=os.environ.get("AUDIT") == "required")
    print("\n".join(said) or "Dependencies: none with a known vulnerability.")
    return status


if __name__ == "__main__":
    sys.exit(main())
