"""The running system connects as a role that owns nothing, so that row-level security holds for it."""

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

RIGHTS = {
    "TABLES": "SELECT, INSERT, UPDATE, DELETE",
    "SEQUENCES": "USAGE, SELECT",
    "FUNCTIONS": "EXECUTE",
}


def admit(owner_url: str, application_url: str) -> None:
    """Lets the application's role use everything that the owner has made and will make; makes the role if need be.

    Does nothing when both addresses name the same role.
    """
    application = make_url(application_url)
    owner = make_url(owner_url)
    if application.username is None or application.username == owner.username:
        return
    address = owner.set(drivername="postgresql").render_as_string(hide_password=False)
    role = Identifier(application.username)
    with psycopg.connect(address, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [application.username]).fetchone()
        if known is None:
            password = str(application.password or "")
            connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
        for kind, rights in RIGHTS.items():
            granted = {"rights": SQL(rights), "kind": SQL(kind), "role": role}
            connection.execute(SQL("GRANT {rights} ON ALL {kind} IN SCHEMA public TO {role}").format(**granted))
            connection.execute(SQL("ALTER DEFAULT PRIVILEGES GRANT {rights} ON {kind} TO {role}").format(**granted))
