"""Database roles of the running system, which own no table and do not bypass row-level security.

The migrations create two groups, one for requests and one for workers, and grant them their rights. The log-in roles
that belong to them are those of DATABASE_URL and WORKER_DATABASE_URL.
"""

from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL, make_url

from ticketing.infra.config import ConfigurationError
from ticketing.infra.db.driver.conninfo import conninfo_of
from ticketing.infra.db.schema import REQUESTS, WORKERS

#: Kinds of objects on which an earlier release granted rights to the log-in role itself.
FORMER_RIGHTS = ("TABLES", "SEQUENCES", "FUNCTIONS")


def admit(owner_url: str, login_url: str, group: str) -> None:
    """Give the role of `login_url` the rights of its group and no others; create the role if there is none.

    Does nothing when both URLs name the same role.

    Raises:
        ConfigurationError: the role bypasses row-level security.
    """
    login = make_url(login_url)
    if login.username is None or login.username == make_url(owner_url).username:
        return
    role = Identifier(login.username)
    with psycopg.connect(conninfo_of(owner_url), autocommit=True) as connection:
        _create(connection, login)
        for kind in FORMER_RIGHTS:
            former = {"kind": SQL(kind), "role": role}
            connection.execute(SQL("REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {role}").format(**former))
            connection.execute(SQL("ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM {role}").format(**former))
        connection.execute(SQL("GRANT {} TO {}").format(Identifier(group), role))


def _create(connection: psycopg.Connection, login: URL) -> None:
    query = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
    known = connection.execute(query, [login.username]).fetchone()
    if known is None:
        role, password = Identifier(str(login.username)), str(login.password or "")
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
    elif known[0]:
        raise ConfigurationError(f"DATABASE_URL: {login.username} bypasses row-level security; name an ordinary role")


def check_requests(url: str) -> None:
    """Raise ConfigurationError when row-level security would not restrict requests to one tenant at a time."""
    role = _read_role(url)
    if role is not None and (role.bypasses or role.is_worker):
        raise ConfigurationError(f"DATABASE_URL: {role.name} sees every tenant; name a role of {REQUESTS}")


def check_workers(url: str) -> None:
    """Raise ConfigurationError when workers would see no tenant, and so never find any work."""
    role = _read_role(url)
    if role is not None and not (role.bypasses or role.is_worker):
        raise ConfigurationError(f"WORKER_DATABASE_URL: must name a role of {WORKERS}; {role.name} is not one")


class _Role(NamedTuple):
    name: str
    bypasses: bool
    is_worker: bool


def _read_role(url: str) -> _Role | None:
    """Read the role of a URL; None when the database is unavailable, which other code handles."""
    query = """select current_user, r.rolsuper or r.rolbypassrls,
                      exists (select from pg_roles g where g.rolname = %s and pg_has_role(g.oid, 'usage'))
                 from pg_roles r where r.rolname = current_user"""
    try:
        with psycopg.connect(conninfo_of(url), connect_timeout=5) as connection:
            row = connection.execute(query, [WORKERS]).fetchone()
    except psycopg.OperationalError:
        return None
    return _Role(*row) if row else None
