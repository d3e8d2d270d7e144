"""Which version of the schema this code wants, and whether a database has it, without loading what migrates."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psycopg

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"
"""The groups that have the rights of requests and of workers; see roles.py."""

_REVISION = re.compile(r'^revision: str = "(\w+)"$', re.MULTILINE)
_BEFORE = re.compile(r'^down_revision: str \| None = "(\w+)"$', re.MULTILINE)
_MEMBER = """
select exists (select from pg_roles g where g.rolname = %s and pg_has_role(g.oid, 'usage'))
       and not (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)"""


def folder() -> Path:
    """Where the migrations are: at the top of a checkout, and in a wheel with the package."""
    package = Path(__file__).parents[2]
    folders = (package.parents[1] / "migrations", package / "migrations")
    return next(one for one in folders if (one / "env.py").exists())


@cache
def versions() -> frozenset[str]:
    """Every version that this code knows."""
    return frozenset(version for text in _texts() for version in _REVISION.findall(text))


@cache
def newest() -> str:
    """The version that this code wants: no other one follows it."""
    (version,) = versions().difference(*map(_BEFORE.findall, _texts()))
    return version


@cache
def _texts() -> list[str]:
    return [path.read_text() for path in sorted((folder() / "versions").glob("*.py"))]


def is_settled(owner_url: str, groups_by_login_url: Mapping[str, str]) -> bool:
    """Whether `migrate` would find nothing to do: the version is the newest, and each log-in has its group's rights."""
    try:
        with psycopg.connect(_plain(owner_url)) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
        return row == (newest(),) and all(_has_rights(*login) for login in groups_by_login_url.items())
    except psycopg.Error:
        return False


def _has_rights(url: str, group: str) -> bool:
    with psycopg.connect(_plain(url)) as connection:
        return connection.execute(_MEMBER, [group]).fetchone() == (True,)


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
