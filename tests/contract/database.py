"""The database as the migrations make it: tables, columns, constraints, indexes, policies, grants and functions.

Constraints, indexes and policies are compared by what they enforce, not by their names: nothing outside reads those.
Bodies of functions are left out for the same reason.
"""

import psycopg

_TABLE = "c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition"

_QUERIES = (
    f"""select format('table %s%s%s%s', c.relname, coalesce(' partition by ' || pg_get_partkeydef(c.oid), ''),
               case when c.relrowsecurity then ' row security' end, case when c.relforcerowsecurity then ' forced' end)
          from pg_class c where {_TABLE}""",
    f"""select format('column %s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
               case when a.attnotnull then ' not null' end,
               case when a.attgenerated <> '' then ' generated' when a.attidentity <> '' then ' identity' end,
               ' default ' || pg_get_expr(d.adbin, d.adrelid))
          from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where {_TABLE}""",
    # A column says itself whether it is NOT NULL; newer servers keep a constraint for it as well.
    f"""select format('constraint %s %s', c.relname, pg_get_constraintdef(o.oid))
          from pg_class c join pg_constraint o on o.conrelid = c.oid where {_TABLE} and o.contype <> 'n'""",
    f"""select format('index %s %s', c.relname, substring(pg_get_indexdef(i.indexrelid) from ' USING .*'))
               || case when i.indisunique then ' unique' else '' end
          from pg_class c join pg_index i on i.indrelid = c.oid where {_TABLE}""",
    f"""select format('policy %s %s %s using %s check %s', c.relname, p.polcmd,
               (select string_agg(r.rolname, ',' order by r.rolname) from pg_roles r where r.oid = any(p.polroles)),
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
          from pg_class c join pg_policy p on p.polrelid = c.oid where {_TABLE}""",
    f"""select format('grant %s %s to %s', c.relname, lower(g.privilege_type), g.grantee::regrole)
          from pg_class c, aclexplode(c.relacl) g where {_TABLE} and g.grantee <> c.relowner""",
    """select format('function %s(%s) returns %s%s', p.proname, pg_get_function_arguments(p.oid),
              pg_get_function_result(p.oid), case when p.prosecdef then ' security definer' end)
         from pg_proc p where p.pronamespace = 'public'::regnamespace
          and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')""",
    f"""select format('trigger %s %s', c.relname,
               substring(pg_get_triggerdef(t.oid) from '(?:BEFORE|AFTER|INSTEAD) .*'))
          from pg_class c join pg_trigger t on t.tgrelid = c.oid where {_TABLE} and not t.tgisinternal""",
    """select format('type %s %s', t.typname, string_agg(e.enumlabel, ' ' order by e.enumsortorder))
         from pg_type t join pg_enum e on e.enumtypid = t.oid group by t.typname""",
    """select format('role %s%s', r.rolname, case when r.rolcanlogin then ' login' end)
         from pg_roles r where r.rolname in ('ticketing_requests', 'ticketing_workers')""",
)


def lines(url: str) -> list[str]:
    """What stands in a migrated database, by the catalogue of the server."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = [row[0] for query in _QUERIES for row in connection.execute(query.encode()).fetchall()]
    return sorted(" ".join(line.split()) for line in found)
