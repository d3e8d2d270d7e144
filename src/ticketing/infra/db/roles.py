"""The running system connects as roles that own nothing and bypass nothing, so that row-level security binds them.

The migrations make two groups, one for requests and one for workers, and give them their rights. Which log-ins belong
to them is a matter of the deployment: those that DATABASE_URL and WORKER_DATABASE_URL name.
"""

from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL, make_url

from ticketing.infra.config import ConfigurationError
from ticketing.infra.db.schema import REQUESTS, WORKERS

#: What an earlier release gave to the log-in itself.
FORMER_RIGHTS = ("TABLES", "SEQUENCES", "FUNCTIONS")


def admit(owner_url: str, login_url: str, group: str) -> None:
    """Lets the log-in of an address do what its group may, and nothing else; makes the log-in if need be.

    Does nothing when both addresses name the same role.

    Raises:
        ConfigurationError: the log-in is one that row-level security does not bind.
    """
    login, owner = make_url(login_url), make_url(owner_url)
    if login.username is None or login.username == owner.username:
        return
    role = Identifier(login.username)
    address = owner.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        _make(connection, login)
        for kind in FORMER_RIGHTS:
            former = {"kind": SQL(kind), "role": role}
            connection.execute(SQL("REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {role}").format(**former))
            connection.execute(SQL("ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM {role}").format(**former))
        connection.execute(SQL("GRANT {} TO {}").format(Identifier(group), role))


def _make(connection: psycopg.Connection, login: URL) -> None:
    query = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
    known = connection.execute(query, [login.username]).fetchone()
    if known is None:
        role, password = Identifier(str(login.username)), str(login.password or "")
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
    elif known[0]:
        raise ConfigurationError(f"DATABASE_URL: {login.username} bypasses row-level security; name an ordinary role")


def check_requests(url: str) -> None:
    """Raises ConfigurationError when row-level security would not bind requests to one tenant at a time."""
    role = _ask(url)
    if role is not None and (role.bypasses or role.is_worker):
        raise ConfigurationError(f"DATABASE_URL: {role.name} sees every tenant; name a role of {REQUESTS}")


def check_workers(url: str) -> None:
    """Raises ConfigurationError when workers would see no tenant, and find nothing to do for ever."""
    role = _ask(url)
    if role is not None and not (role.bypasses or role.is_worker):
        raise ConfigurationError(f"WORKER_DATABASE_URL: must name a role of {WORKERS}; {role.name} is none")


class _Role(NamedTuple):
    name: str
    bypasses: bool
    is_worker: bool


def _ask(url: str) -> _Role | None:
    """The role of an address; None when the database does not answer, which is waited for elsewhere."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    query = """select current_user, r.rolsuper or r.rolbypassrls,
                      exists (select from pg_roles g where g.rolname = %s and pg_has_role(g.oid, 'usage'))
                 from pg_roles r where r.rolname = current_user"""
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            row = connection.execute(query, [WORKERS]).fetchone()
    except psycopg.OperationalError:
        return None
    return _Role(*row) if row else None
