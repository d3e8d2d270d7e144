"""PostgreSQL URLs as operators write them, in the form that SQLAlchemy and libpq both understand."""

from urllib.parse import urlencode

SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_EXAMPLE = "must look like postgresql://user:password@host:5432/database"


def parse_database_url(url: str) -> str:
    """The same URL with psycopg 3 as the driver; several hosts, `db1:5432,db2:5432`, as parameters.

    Raises:
        ValueError: another scheme, or a password with a character that must be percent-encoded.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(_EXAMPLE)
    place, _, path = rest.partition("/")
    # An unencoded `@` would make the rest of the password a part of the host, which is logged.
    if place.count("@") > 1 or "@" in path.partition("?")[0]:
        raise ValueError(f"{_EXAMPLE}; percent-encode special characters of the password (%40 is @, %2F is /)")
    credentials, at, hosts = place.rpartition("@")
    if "," not in hosts:
        return f"postgresql+psycopg://{rest}"
    parts = [host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "") for host in hosts.split(",")]
    names, ports = [name.strip("[]") for name, _, _ in parts], [port or "5432" for _, _, port in parts]
    query = urlencode({"host": ",".join(names), "port": ",".join(ports)}, safe=",:")
    database, _, more = path.partition("?")
    return f"postgresql+psycopg://{credentials}{at}/{database}?{query}{'&' if more else ''}{more}"
