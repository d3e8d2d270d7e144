"""Row-level security between tenants: default deny, and one role each for requests and for workers.

Three settings that end with the transaction decide which rows it sees (see db/tenancy.py). Without them there are none.

- `app.organization_id`: the organization that the request works in. Its rows can be read and written.
- `app.user_id`: the caller. Their own reservations, orders, tickets and memberships can be read; and those of the
  organizations that they are a member of, so that a route without an organization in its path can look up the owner.
- `app.shown_organizations`: the organizations whose public pages are read. Their seats, prices and plans can be read.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTS, WORKERS = "ticketing_requests", "ticketing_workers"

#: The rights of requests to each table. Requests cannot even read a table that is not listed.
ALL = "select, insert, update, delete"
KEPT = "select, insert, update"
RIGHTS = {
    "alembic_version": "select",
    "api_keys": KEPT,
    "audit_log": "select, insert",
    "category_prices": ALL,
    "check_ins": KEPT,
    "devices": KEPT,
    "event_seats": ALL,
    "event_streams": "select",
    "events": KEPT,
    "idempotency_keys": ALL,
    "mail_tokens": ALL,
    "members": ALL,
    "order_lines": "select, insert",
    "orders": KEPT,
    "organizations": KEPT,
    "outbox": "select, insert",
    "outbox_cursor": "select",
    "payment_events": KEPT,
    "payments": KEPT,
    "plan_seats": "select, insert",
    "refresh_tokens": ALL,
    "refunds": KEPT,
    "reservation_items": KEPT,
    "reservations": KEPT,
    "seating_plans": "select, insert",
    "second_factors": ALL,
    "sessions": ALL,
    "support_people": "select, delete",
    "ticket_types": ALL,
    "tickets": KEPT,
    "users": KEPT,
    "venues": KEPT,
}

TENANT = "organization_id = (select current_organization())"
MINE = "user_id = (select current_person())"
OURS = "organization_id = any ((select organizations_of_person())::uuid[])"
SHOWN = "organization_id = any ((select shown_organizations())::uuid[])"
#: A child row is visible when its parent is: the policies of the parent table decide.
ORDER = "exists (select from orders o where o.organization_id = {0}.organization_id and o.id = {0}.order_id)"
RESERVATION = (
    "exists (select from reservations r where r.organization_id = {0}.organization_id and r.id = {0}.reservation_id)"
)

#: The rows of each tenant table that can be read without working in its organization. For other tables, none.
READABLE = {
    "category_prices": SHOWN,
    "event_seats": SHOWN,
    "event_streams": SHOWN,
    "events": f"published_at is not null or {OURS}",
    "members": MINE,
    "order_lines": ORDER.format("order_lines"),
    "orders": f"{MINE} or {OURS}",
    # A message of no tenant is visible to the transaction that writes it, and to no other request.
    "outbox": "organization_id is null and xid = pg_current_xact_id_if_assigned()",
    "payments": ORDER.format("payments"),
    "plan_seats": SHOWN,
    "refunds": ORDER.format("refunds"),
    "reservation_items": RESERVATION.format("reservation_items"),
    "reservations": f"{MINE} or {OURS}",
    "seating_plans": SHOWN,
    "ticket_types": SHOWN,
    "tickets": f"{MINE} or {OURS} or " + ORDER.format("tickets"),
    "venues": (
        f"{SHOWN} or exists (select from events e where e.organization_id = venues.organization_id"
        " and e.venue_id = venues.id and e.published_at is not null)"
    ),
}

ROLES = f"""
do $$
begin
    if not exists (select from pg_roles where rolname = '{REQUESTS}') then create role {REQUESTS} nologin; end if;
    if not exists (select from pg_roles where rolname = '{WORKERS}') then create role {WORKERS} nologin; end if;
end $$;
-- The owner is bound by the policies too. As one of the workers it sees all tenants: migrations have to, and so do the
-- functions and views below, which run with its rights.
grant {WORKERS} to current_user;
grant usage on schema public to {REQUESTS}, {WORKERS};
grant select, insert, update, delete on all tables in schema public to {WORKERS};
"""

# In SQL and not in PL/pgSQL, so that the planner inlines them and evaluates each once per statement.
SETTINGS = """
create function current_organization() returns uuid language sql stable parallel safe as
    $$ select nullif(current_setting('app.organization_id', true), '')::uuid $$;
create function current_person() returns uuid language sql stable parallel safe as
    $$ select nullif(current_setting('app.user_id', true), '')::uuid $$;
create function shown_organizations() returns uuid[] language sql stable parallel safe as
    $$ select nullif(current_setting('app.shown_organizations', true), '')::uuid[] $$;
create function organizations_of_person() returns uuid[] language sql stable parallel safe as
    $$ select array_agg(organization_id) from members where user_id = current_person() $$;
"""

# These return the organization that a secret, or a name known only to its holder, belongs to, and nothing else.
LOOK_UPS = f"""
create function organization_of_api_key(wanted text) returns uuid language sql stable security definer
    set search_path = public as
    $$ select organization_id from api_keys where key_hash = wanted $$;
create function organization_of_device(wanted text) returns uuid language sql stable security definer
    set search_path = public as
    $$ select organization_id from devices where token_hash = wanted $$;
create function organization_of_order(wanted text) returns uuid language sql stable security definer
    set search_path = public as
    $$ select organization_id from orders where reference = wanted $$;
create function organization_of_payment(of_provider text, wanted text) returns uuid language sql stable security definer
    set search_path = public as
    $$ select organization_id from payments where provider = of_provider and provider_ref = wanted
       union all
       select r.organization_id from refunds r join payments p on p.id = r.payment_id
        where p.provider = of_provider and r.provider_ref = wanted
       limit 1 $$;
-- Where the caller has left a trace in the audit log, which is theirs to know.
create function organizations_of_trace() returns setof uuid language sql stable security definer
    set search_path = public as
    $$ select distinct organization_id from audit_log
        where actor = 'user:' || current_person() or subject = 'user:' || current_person() $$;
-- How many places of an event only seem to be held: a number that is on the map, of rows that are not.
create function lapsed_places(of_event uuid) returns table (ticket_type_id uuid, quantity bigint) language sql stable
    security definer set search_path = public as
    $$ select i.ticket_type_id, sum(i.quantity) from reservations r
         join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
        where r.event_id = of_event and r.status = 'active' and r.expires_at < now() and i.seat_number is null
        group by 1 $$;
revoke execute on function organization_of_api_key(text), organization_of_device(text), organization_of_order(text),
    organization_of_payment(text, text), organizations_of_trace(), lapsed_places(uuid),
    make_outbox_partitions(integer), drop_outbox_partitions(integer) from public;
grant execute on function organization_of_api_key(text), organization_of_device(text), organization_of_order(text),
    organization_of_payment(text, text), organizations_of_trace(), lapsed_places(uuid) to {REQUESTS}, {WORKERS};
grant execute on function make_outbox_partitions(integer), drop_outbox_partitions(integer) to {WORKERS};
"""

# Views for `/health/alerts`, which covers all tenants: ages and counts, never contents or owners.
WATCHED = f"""
create view watched_outbox as select id, xid, occurred_at from outbox;
create view watched_dead_letters as select id from dead_letters;
create view watched_reservations as select status, expires_at from reservations;
create view watched_refunds as select status, created_at from refunds;
create view watched_orders as
    select reference, status, paid_at, exists (select from tickets t where t.organization_id = o.organization_id
                                                  and t.order_id = o.id) as has_tickets
      from orders o;
grant select on watched_outbox, watched_dead_letters, watched_reservations, watched_refunds, watched_orders
    to {REQUESTS}, {WORKERS};
"""


def upgrade() -> None:
    op.create_index("ix_dead_letters_organization_id_id", "dead_letters", ["organization_id", "id"], unique=False)
    for statements in (ROLES, SETTINGS, LOOK_UPS, WATCHED):
        op.execute(statements)
    for table, rights in RIGHTS.items():
        op.execute(f"grant {rights} on {table} to {REQUESTS}")
    for table in TENANT_TABLES:
        _protect(table, TENANT, READABLE.get(table))
    _protect(
        "organizations",
        "id = (select current_organization())",
        "id = any ((select organizations_of_person())::uuid[]) or exists (select from events e"
        " where e.organization_id = organizations.id and e.published_at is not null)",
    )


def _protect(table: str, tenant: str, readable: str | None) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy workers on {table} to {WORKERS} using (true) with check (true)")
    if table not in RIGHTS:
        return
    written = f"({tenant}) or organization_id is null" if table == "outbox" else tenant
    op.execute(f"create policy tenant on {table} to {REQUESTS} using ({tenant}) with check ({written})")
    if readable:
        op.execute(f"create policy readable on {table} for select to {REQUESTS} using ({readable})")


TENANT_TABLES = (
    "api_keys",
    "audit_log",
    "category_prices",
    "check_ins",
    "dead_letters",
    "devices",
    "event_seats",
    "event_streams",
    "events",
    "members",
    "order_lines",
    "orders",
    "outbox",
    "payments",
    "plan_seats",
    "refunds",
    "reservation_items",
    "reservations",
    "seating_plans",
    "ticket_types",
    "tickets",
    "venues",
)
