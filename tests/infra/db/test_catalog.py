"""What the database's catalog says about rights: owners, functions with their owner's rights, temporary tables."""

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.conftest import TEMPLATE
from ticketing.infra.embedded.postgres import APPLICATION, OWNER, WORKER, EmbeddedPostgres

_FUNCTIONS = """
select p.oid::regprocedure::text, coalesce(array_to_string(p.proconfig, ';'), ''),
       exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where grantee = 0)
  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef"""
_OWNERS = """
select distinct o.rolname, o.rolsuper
  from (select relowner as owner from pg_class where relnamespace = 'public'::regnamespace
         union all select proowner from pg_proc p where pronamespace = 'public'::regnamespace
               and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
         union all select datdba from pg_database where datname = current_database()) owned
  join pg_roles o on o.oid = owner"""


def connect(postgres: EmbeddedPostgres, database: str, role: str) -> psycopg.Connection:
    return psycopg.connect(postgres.url(database, role).replace("+psycopg", ""), autocommit=True)


def test_functions_with_their_owners_rights_have_a_safe_path_and_are_not_public(postgres: EmbeddedPostgres) -> None:
    with connect(postgres, TEMPLATE, OWNER) as connection:
        functions = connection.execute(_FUNCTIONS.encode()).fetchall()
    assert len(functions) > 10
    safe = "search_path=pg_catalog, public, pg_temp"
    assert [name for name, settings, _ in functions if safe not in settings.split(";")] == []
    assert [name for name, _, is_public in functions if is_public] == []


def test_tables_functions_and_database_belong_to_a_role_that_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    with connect(postgres, TEMPLATE, OWNER) as connection:
        assert connection.execute(_OWNERS.encode()).fetchall() == [(OWNER, False)]
        assert connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchall() == [(False,)]


@pytest.mark.parametrize("role", [APPLICATION, WORKER])
def test_the_running_system_can_create_nothing(postgres: EmbeddedPostgres, role: str) -> None:
    with connect(postgres, TEMPLATE, role) as connection:
        for statement in (
            "create temporary table members (x integer)",
            "create table public.members_ (x integer)",
            "create function public.f() returns integer language sql as 'select 1'",
            "create schema pg_temporary",
        ):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_temporary_table_does_not_take_the_place_of_a_table_in_a_function(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    """Even if temporary tables are allowed, as in a new database until its migration."""
    name = database_url.rpartition("/")[2]
    with connect(postgres, name, APPLICATION) as connection:
        connection.execute("create temporary table api_keys (organization_id uuid, key_hash text, revoked_at text)")
        connection.execute("insert into api_keys values (gen_random_uuid(), 'forged', null)")
        found = connection.execute("select organization_of_api_key('forged')").fetchall()
    assert found == [(None,)]


def test_a_database_of_the_superuser_is_handed_over(postgres: EmbeddedPostgres, database_url: str) -> None:
    """As one that an earlier release made, or that was restored by the superuser."""
    name = database_url.rpartition("/")[2]
    with connect(postgres, name, "postgres") as superuser:
        superuser.execute("alter table orders owner to postgres")
        superuser.execute("alter table outbox owner to postgres")
        superuser.execute("alter view outbox_readers owner to postgres")
        superuser.execute("alter function adopt_log() owner to postgres")
        postgres.hand_to_owner(name)
        assert superuser.execute(_OWNERS.encode()).fetchall() == [(OWNER, False)]
