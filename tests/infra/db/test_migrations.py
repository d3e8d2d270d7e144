"""The migrations build the schema of the models, and the row-level security that no model describes."""

import pytest
from alembic import command
from sqlalchemy import CheckConstraint, create_engine, text

from ticketing.infra.db import Base, migrate
from ticketing.main import create_app


def test_models_and_migrations_agree(database_url: str) -> None:
    command.check(migrate.config(database_url))


def test_check_constraints_are_named_as_in_the_models(database_url: str) -> None:
    create_app()  # imports every model
    constraints = (each for table in Base.metadata.tables.values() for each in table.constraints)
    names = {str(each.name) for each in constraints if isinstance(each, CheckConstraint)}
    found = violations(database_url, "select conname from pg_constraint where contype = 'c' and conname like 'ck\\_%'")
    assert sorted(found) == sorted(names)


TABLES = """
    select c.relname from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"""
TENANT = """
    (c.relname = 'organizations' or exists (
        select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id'))"""
#: Each query lists the tables that break its rule.
RULES = {
    "has an index led by its tenant": f"""{TABLES} and exists (
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
    "has policies for no other role": f"""{TABLES} and exists (
        select from pg_policy p where p.polrelid = c.oid and not p.polroles <@ array[
            'ticketing_workers'::regrole::oid, 'ticketing_requests'::regrole::oid])""",
    # The policy of a partitioned table does not apply to queries that name a partition.
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
    assert violations(database_url, RULES[rule]) == []


def test_application_roles_own_nothing_and_bypass_no_policy(database_url: str) -> None:
    privileged = """
        select r.rolname from pg_roles r
         where r.rolname in ('ticketing_requests', 'ticketing_workers', 'ticketing_app', 'ticketing_worker')
           and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
                or exists (select from pg_class c where c.relowner = r.oid)
                or exists (select from pg_proc p where p.proowner = r.oid)
                or has_schema_privilege(r.oid, 'public', 'create'))"""
    assert violations(database_url, privileged) == []
    crossing = "select 'requests are workers' where pg_has_role('ticketing_app', 'ticketing_workers', 'member')"
    assert violations(database_url, crossing) == []


def test_functions_that_cross_tenants_are_listed_here(database_url: str) -> None:
    """They run with their owner's rights and bypass row-level security.

    Each returns only an id or a number, except those of searches, which return what is public of published events.
    """
    functions = "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef order by 1"
    assert violations(database_url, functions) == [
        "adopt_log",
        "analyze_seats",
        "drop_outbox_partitions",
        "lapsed_places",
        "make_outbox_partitions",
        "organization_of_api_key",
        "organization_of_device",
        "organization_of_invitation",
        "organization_of_order",
        "organization_of_own_hold",
        "organization_of_own_order",
        "organization_of_payment",
        "organizations_of_trace",
        "organizations_with_news",
        "outbox_pins",
        "search_events",
        "similar_events",
    ]


def violations(database_url: str, query: str) -> list[str]:
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(query)).scalars())
    finally:
        engine.dispose()
