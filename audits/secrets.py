"""Look for keys and passwords in every file of the tree; whatever is not in the reviewed list fails."""

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
#: What looks like a secret and is none, a line each: the first twelve digits of its SHA-1, the file, and why.
REVIEWED = Path(__file__).with_name("reviewed_secrets.txt")
HASH_LENGTH = 12
KEYWORD = "Secret Keyword"
OF_NOBODY = ("tests/", "benchmarks/")
#: Where words stand beside words: a sentence about a password has none in it.
PROSE = ".md"

#: Every known form of a key, strings of high entropy, and values of names like `password`; not addresses of machines.
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
    """Everything that is committed or, being new and not ignored, soon will be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    # A list of hashes of what is no secret looks like a list of secrets.
    yield from (name for name in listed.splitlines() if (root / name).is_file() and not name.endswith(REVIEWED.name))


def find_secrets(root: Path, names: Iterable[str]) -> Iterator[tuple[str, PotentialSecret]]:
    """What looks like a secret, with its file; not prose, nor passwords of people in tests."""
    found = SecretsCollection(root=str(root))
    with transient_settings(SETTINGS):
        found.scan_files(*names)
    for name, each in found:
        if each.type != KEYWORD or not (name.startswith(OF_NOBODY) or name.endswith(PROSE)):
            yield name, each


def list_reviewed() -> set[tuple[str, str]]:
    """Hash and file of what was looked at."""
    lines = [line.split(maxsplit=2) for line in REVIEWED.read_text().splitlines() if line and not line.startswith("#")]
    return {(digest, name) for digest, name, _why in lines}


def main() -> int:
    reviewed, status = list_reviewed(), 0
    for name, found in find_secrets(ROOT, list_files(ROOT)):
        digest = found.secret_hash[:HASH_LENGTH]
        if (digest, name) not in reviewed:
            status = 1
            print(f"{name}:{found.line_number}: looks like a secret ({found.type}), {digest}")
    if status:
        print(
            f"A real one has to be replaced, for it is known now. One that is none: see {REVIEWED.relative_to(ROOT)}."
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
