"""`python -m tests.contract`: publish what is new; with `--accept`, also drop what is gone.

Dropping or changing a published line breaks somebody: decide that first, and say so in CHANGELOG.md.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.contract.comparison import compare
from tests.contract.subjects import DATABASE, FOLDER, SUBJECTS, published
from ticketing.infra.db import migrate
from ticketing.infra.db.roles import admit
from ticketing.infra.db.schema import REQUESTS, WORKERS
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres


def migrated_database() -> list[str]:
    """The lines of a database that the migrations make in a server of its own."""
    with TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres", {"fsync": "off"}) as server:
        server.create_database("contract")
        url = server.url("contract")
        migrate.upgrade(url)
        for role, group in ((APPLICATION, REQUESTS), (WORKER, WORKERS)):
            admit(url, server.url("contract", role), group)
        return DATABASE(url)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(accept: bool) -> int:
    current = {name: make() for name, make in SUBJECTS.items()} | {"database": migrated_database()}
    FOLDER.mkdir(exist_ok=True)
    is_broken = False
    for name, lines in current.items():
        path = FOLDER / f"{name}.txt"
        changes = compare(published(name) if path.exists() else [], lines)
        for line in changes.breaking:
            say(f"{name}: {line}")
        for line in changes.new:
            say(f"{name}: new: {line}")
        if changes.breaking and not accept:
            is_broken = True
        else:
            path.write_text("\n".join(sorted(set(lines))) + "\n")
    if is_broken:
        say("Subjects with broken promises are left as they were; --accept publishes them as they are now.")
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main(accept="--accept" in sys.argv[1:]))
