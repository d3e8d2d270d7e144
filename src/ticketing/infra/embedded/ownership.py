"""The owner of the embedded platform's tables and functions: not the superuser.

A function with its owner's rights (SECURITY DEFINER) that had a fault would otherwise give those of the superuser.
"""

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

#: CREATEROLE: migrations create the groups of requests and workers. BYPASSRLS: migrations and operators' commands see
#: all tenants. Statistics of other roles' sessions: which transaction holds up the log.
_CREATE = "create role {role} login createrole bypassrls password {password}"
_GRANT = "grant pg_read_all_stats to {role}"
#: Groups that a superuser created, in a cluster made by an earlier release or restored from a dump.
_ADMINISTER = """
do $$ declare name text;
begin
    for name in select rolname from pg_roles where rolname in ('ticketing_requests', 'ticketing_workers') loop
        execute format('grant %I to %I with admin option', name, {owner});
    end loop;
end $$"""
#: Everything in the schema that belongs to the superuser, for the same reasons. Sequences of identity columns, indexes
#: and partitions' rows follow their tables; a function is altered by its signature. Functions of extensions stay.
_HAND_OVER = """
do $$ declare thing record;
begin
    for thing in
        select case relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end as kind,
               oid::regclass::text as name
          from pg_class c
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')
           and relowner = current_user::regrole
           and not exists (select from pg_depend d where d.objid = c.oid and d.deptype in ('i', 'a') and relkind = 'S')
         union all
        select 'routine', oid::regprocedure::text from pg_proc p
         where pronamespace = 'public'::regnamespace and proowner = current_user::regrole
           and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    loop
        execute format('alter %s %s owner to %I', thing.kind, thing.name, {owner});
    end loop;
end $$"""


def create_owner(superuser: Connection, role: str, password: str) -> None:
    """Create the role unless it exists, and let it administer the groups that exist already."""
    if superuser.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
        superuser.execute(SQL(_CREATE).format(role=Identifier(role), password=Literal(password)))
        superuser.execute(SQL(_GRANT).format(role=Identifier(role)))
        superuser.execute(SQL(_ADMINISTER).format(owner=Literal(role)))


def hand_over(superuser: Connection, role: str) -> None:
    """Make `role` the owner of the connection's database, and of what the superuser owns in its public schema.

    A database of an earlier release, or one that was restored by the superuser, has tables of the superuser.
    """
    database = Identifier(superuser.info.dbname)
    superuser.execute(SQL("alter database {} owner to {}").format(database, Identifier(role)))
    superuser.execute(SQL(_HAND_OVER).format(owner=Literal(role)))
