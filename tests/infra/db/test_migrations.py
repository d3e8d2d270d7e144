"""The migrations make what the models say, and the rules that no model can say."""

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from ticketing.infra.db import migrate


def test_the_models_say_what_the_migrations_made(database_url: str) -> None:
    command.check(migrate.config(database_url))


TABLES = """
    select c.relname from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"""
TENANT = """
    (c.relname = 'organizations' or exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id'))"""
#: What has to be true of each tenant table; the queries list those of which it is not.
RULES = {
    "is led by its tenant": f"""{TABLES} and exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not exists (
            select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum))""",
    "has row-level security, forced": f"""{TABLES} and {TENANT}
        and not (c.relrowsecurity and c.relforcerowsecurity)""",
    "has a policy for workers": f"""{TABLES} and {TENANT} and not exists (
        select from pg_policy p where p.polrelid = c.oid and p.polroles = array['ticketing_workers'::regrole::oid])""",
    "has a policy for requests, or is closed to them": f"""{TABLES} and {TENANT}
        and has_table_privilege('ticketing_requests', c.oid, 'select, insert, update, delete') and not exists (
        select from pg_policy p where p.polrelid = c.oid and p.polroles = array['ticketing_requests'::regrole::oid]
           and p.polcmd = '*' and pg_get_expr(p.polqual, p.polrelid) like '%current_organization()%')""",
    "has policies for nobody else": f"""{TABLES} and exists (
        select from pg_policy p where p.polrelid = c.oid and not p.polroles <@ array[
            'ticketing_workers'::regrole::oid, 'ticketing_requests'::regrole::oid])""",
    # A policy of the whole does not bind who reads a part by its own name.
    "is not open by its partitions": """
        select c.relname from pg_class c where c.relispartition and c.relkind = 'r'
           and has_table_privilege('ticketing_requests', c.oid, 'select, insert, update, delete')""",
    "is not open by a view": """
        select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
           and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id')
           and has_table_privilege('ticketing_requests', c.oid, 'select')""",
}


@pytest.mark.parametrize("rule", RULES)
def test_every_tenant_table(database_url: str, rule: str) -> None:
    assert strays(database_url, RULES[rule]) == []


def test_the_running_system_owns_and_bypasses_nothing(database_url: str) -> None:
    mighty = """
        select r.rolname from pg_roles r
         where r.rolname in ('ticketing_requests', 'ticketing_workers', 'ticketing_app', 'ticketing_worker')
           and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
                or exists (select from pg_class c where c.relowner = r.oid)
                or exists (select from pg_proc p where p.proowner = r.oid)
                or has_schema_privilege(r.oid, 'public', 'create'))"""
    assert strays(database_url, mighty) == []
    crossing = "select 'requests are workers' where pg_has_role('ticketing_app', 'ticketing_workers', 'member')"
    assert strays(database_url, crossing) == []


def test_what_crosses_tenants_is_listed_here(database_url: str) -> None:
    """Functions that run with their owner's rights: each is a door in the wall, and answers with an id or a number."""
    doors = "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef order by 1"
    assert strays(database_url, doors) == [
        "analyze_seats",
        "drop_outbox_partitions",
        "lapsed_places",
        "make_outbox_partitions",
        "organization_of_api_key",
        "organization_of_device",
        "organization_of_order",
        "organization_of_payment",
        "organizations_of_trace",
        "organizations_with_news",
        "outbox_pins",
    ]


def strays(database_url: str, query: str) -> list[str]:
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(query)).scalars())
    finally:
        engine.dispose()
