"""The schema version that this code needs, and whether a database has it, without importing Alembic."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psycopg

from ticketing.infra.db.driver.conninfo import conninfo_of

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
"""The groups with the rights of requests and of workers; see roles.py."""

_REVISION = re.compile(r'^revision: str = "(\w+)"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision: str \| None = "(\w+)"$', re.MULTILINE)
_STATE = """select version_num, not exists (select from watched_log_positions) from alembic_version"""
_MEMBER = """
select exists (select from pg_roles g where g.rolname = %s and pg_has_role(g.oid, 'usage'))
       and not (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)"""


def folder() -> Path:
    """The folder of the migrations: at the top of a checkout, or inside the package of a wheel."""
    package = Path(__file__).parents[2]
    folders = (package.parents[1] / "migrations", package / "migrations")
    return next(folder for folder in folders if (folder / "env.py").exists())


@cache
def versions() -> frozenset[str]:
    """All versions that this code knows."""
    return frozenset(version for text in _texts() for version in _REVISION.findall(text))


@cache
def newest() -> str:
    """The version that this code needs: the one that no other follows."""
    (version,) = versions().difference(*map(_BEFORE.findall, _texts()))
    return version


@cache
def _texts() -> list[str]:
    return [path.read_text() for path in sorted((folder() / "versions").glob("*.py"))]


def is_up_to_date(owner_url: str, groups_by_login_url: Mapping[str, str]) -> bool:
    """Whether `migrate` has nothing to do: the schema, the positions of the log and the roles' rights are right."""
    try:
        with psycopg.connect(conninfo_of(owner_url)) as connection:
            row = connection.execute(_STATE).fetchone()
        return row == (newest(), True) and all(_has_rights(*login) for login in groups_by_login_url.items())
    except psycopg.Error:
        return False


def _has_rights(url: str, group: str) -> bool:
    with psycopg.connect(conninfo_of(url)) as connection:
        return connection.execute(_MEMBER, [group]).fetchone() == (True,)
