"""The connection string for psycopg of a database URL that SQLAlchemy takes as well."""

from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url


def conninfo_of(url: str) -> str:
    """The same server, credentials and parameters as for an engine with this URL.

    libpq decodes URLs in another way: it keeps a `+` of a parameter, and refuses a `%` that encodes nothing.
    """
    parsed = make_url(url)
    _, parameters = parsed.get_dialect()().create_connect_args(parsed)
    return make_conninfo(**parameters)
