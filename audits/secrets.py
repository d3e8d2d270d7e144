"""Searches every file of the tree for keys and passwords; a finding that is not in the reviewed list is a failure."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[1]
#: Findings that are not secrets, one per line: the first twelve digits of the SHA-1, the file, and the reason.
REVIEWED = Path(__file__).with_name("reviewed_secrets.txt")
HASH_LENGTH = 12
KEYWORD = "Secret Keyword"
FAKE_PASSWORDS = ("tests/", "benchmarks/")
#: In prose, the word "password" is not followed by one.
PROSE = ".md"

#: All detectors: forms of keys, strings of high entropy, and values of names like `password`; but not IP addresses.
_classes: dict[str, Any] = get_mapping_from_secret_type_to_class()
PLUGINS = {each.__name__ for each in _classes.values()} - {"IPPublicDetector"}
FILTERS = (
    "allowlist.is_line_allowlisted",
    "heuristic.is_indirect_reference",
    "heuristic.is_likely_id_string",
    "heuristic.is_lock_file",
    "heuristic.is_not_alphanumeric_string",
    "heuristic.is_potential_uuid",
    "heuristic.is_prefixed_with_dollar_sign",
    "heuristic.is_sequential_string",
    "heuristic.is_templated_secret",
)
SETTINGS = {
    "plugins_used": [{"name": name} for name in sorted(PLUGINS)],
    "filters_used": [{"path": f"detect_secrets.filters.{name}"} for name in FILTERS],
}


def list_files(root: Path) -> Iterator[str]:
    """All tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    # The list of hashes itself looks like a list of secrets.
    yield from (name for name in listed.splitlines() if (root / name).is_file() and not name.endswith(REVIEWED.name))


def find_secrets(root: Path, names: Iterable[str]) -> Iterator[tuple[str, PotentialSecret]]:
    """The findings with their files, except passwords in prose and in tests."""
    found = SecretsCollection(root=str(root))
    with transient_settings(SETTINGS):
        found.scan_files(*names)
    for name, each in found:
        if each.type != KEYWORD or not (name.startswith(FAKE_PASSWORDS) or name.endswith(PROSE)):
            yield name, each


def list_reviewed() -> set[tuple[str, str]]:
    """Hash and file of each reviewed finding."""
    lines = [line.split(maxsplit=2) for line in REVIEWED.read_text().splitlines() if line and not line.startswith("#")]
    return {(digest, name) for digest, name, _reason in lines}


def main() -> int:
    reviewed, status = list_reviewed(), 0
    for name, found in find_secrets(ROOT, list_files(ROOT)):
        digest = found.secret_hash[:HASH_LENGTH]
        if (digest, name) not in reviewed:
            status = 1
            print(f"{name}:{found.line_number}: looks like a secret ({found.type}), {digest}")
    if status:
        print(f"Replace a real secret, since it is now exposed. Otherwise add it to {REVIEWED.relative_to(ROOT)}.")
    return status


if __name__ == "__main__":
    sys.exit(main())
