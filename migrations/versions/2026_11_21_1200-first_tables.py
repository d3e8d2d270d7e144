"""The first tables, with the rules that the database enforces whatever the application does."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


class Xid8(sa.types.UserDefinedType[str]):
    def get_col_spec(self, **_: object) -> str:
        return "xid8"


# A seat that is sold or under a running hold cannot be moved to another reservation: it must be released first. Because
# of the WHEN clause, the function is not called for legal changes.
SEAT_OWNER = """
create function refuse_second_owner() returns trigger language plpgsql as $$
begin
    raise exception 'seat % of event % belongs to reservation %', old.number, old.event_id, old.reservation_id
        using errcode = 'exclusion_violation', constraint = 'event_seats_one_owner';
end $$;
create trigger event_seats_one_owner before update on event_seats for each row
    when (new.reservation_id is not null and new.reservation_id is distinct from old.reservation_id
          and (old.status = 's' or old.status = 'h' and old.held_until > now()))
    execute function refuse_second_owner();
create trigger event_seats_sold_stays_sold before update on event_seats for each row
    when (old.status = 's' and new.status = 'h')
    execute function refuse_second_owner();
"""

APPEND_ONLY = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_log_append_only before update or delete on audit_log
    for each statement execute function refuse_change();
create trigger outbox_append_only before update or delete on outbox
    for each statement execute function refuse_change();
"""

# One partition per day, named by its date. Rows without a partition go to the default one, so that none is lost.
PARTITIONS = """
create table outbox_default partition of outbox default;
create function make_outbox_partitions(days integer) returns void language plpgsql security definer
    set search_path = public as $$
declare day date;
begin
    for day in select current_date + n from generate_series(0, days) n loop
        if to_regclass('outbox_' || to_char(day, 'YYYYMMDD')) is null then
            execute format('create table %I partition of outbox for values from (%L) to (%L)',
                           'outbox_' || to_char(day, 'YYYYMMDD'), day, day + 1);
        end if;
    end loop;
end $$;
create function drop_outbox_partitions(keep_days integer) returns integer language plpgsql security definer
    set search_path = public as $$
declare name text; dropped integer := 0;
begin
    for name in select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                 where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'
                   and to_date(substr(c.relname, 8), 'YYYYMMDD') < current_date - keep_days loop
        execute format('drop table %I', name);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
select make_outbox_partitions(3);
"""

# Without statistics, a join of 16,000 seats with their coordinates took 15 s; autovacuum runs a minute later. A table
# that another transaction is analyzing is skipped, so that two syncs do not wait for each other.
STATISTICS = """
create function analyze_seats() returns void language plpgsql security definer set search_path = public as $$
begin
    analyze (skip_locked) plan_seats, event_seats;
end $$;
"""


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("message", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
    )
    op.create_table(
        "event_streams",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "event_id", name="pk_event_streams"),
        sa.UniqueConstraint("event_id", name="uq_event_streams_event_id"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "message_id", name="pk_inbox"),
    )
    op.create_index("ix_inbox_done_at", "inbox", ["done_at"], unique=False)
    op.create_table(
        "organizations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
        sa.UniqueConstraint("slug", name="uq_organizations_slug"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("schema_version", sa.SmallInteger(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "occurred_at", name="pk_outbox"),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index("ix_outbox_organization_id_id", "outbox", ["organization_id", "id"], unique=False)
    op.create_index("ix_outbox_xid_id", "outbox", ["xid", "id"], unique=False)
    op.create_table(
        "outbox_cursor",
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("window_from", Xid8(), server_default=sa.text("'0'"), nullable=False),
        sa.Column("window_to", Xid8(), nullable=True),
        sa.Column("last_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("reader", name="pk_outbox_cursor"),
    )
    op.create_table(
        "payment_events",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("provider", "event_id", name="pk_payment_events"),
    )
    op.create_index(
        "ix_payment_events_provider_provider_ref", "payment_events", ["provider", "provider_ref"], unique=False
    )
    op.create_index(
        "ix_payment_events_waiting",
        "payment_events",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("processed_at is null"),
    )
    op.create_table(
        "users",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_normalized", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_normalized", name="uq_users_email_normalized"),
    )
    op.create_table(
        "api_keys",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="ck_api_keys_role"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_api_keys_created_by"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_api_keys_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        sa.UniqueConstraint("organization_id", "id", name="uq_api_keys_organization_id_id"),
    )
    op.create_table(
        "audit_log",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_audit_log_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_organization_id_id", "audit_log", ["organization_id", "id"], unique=False)
    op.create_table(
        "members",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="ck_members_role"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_members_organization_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_members_user_id"),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name="pk_members"),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_tokens_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_refresh_tokens_token_hash"),
    )
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"], unique=False)
    op.create_index("ix_refresh_tokens_family_id", "refresh_tokens", ["family_id"], unique=False)
    op.create_index("ix_refresh_tokens_user_id", "refresh_tokens", ["user_id"], unique=False)
    op.create_table(
        "venues",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("plan_version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("capacity >= 0", name="ck_venues_capacity"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_venues_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_venues"),
        sa.UniqueConstraint("organization_id", "id", name="uq_venues_organization_id_id"),
    )
    op.create_table(
        "events",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.Uuid(), nullable=True),
        sa.Column("plan_version", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("sales_start_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sales_end_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hold_seconds", sa.Integer(), nullable=False),
        sa.Column("max_per_order", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="ck_events_currency"),
        sa.CheckConstraint("status in ('draft', 'published', 'cancelled', 'completed')", name="ck_events_status"),
        sa.CheckConstraint("ends_at is null or ends_at > starts_at", name="ck_events_ends_after_start"),
        sa.CheckConstraint("status <> 'published' or published_at is not null", name="ck_events_published_at"),
        sa.CheckConstraint("hold_seconds between 5 and 3600", name="ck_events_hold_seconds"),
        sa.CheckConstraint("max_per_order between 1 and 1000", name="ck_events_max_per_order"),
        sa.CheckConstraint("sales_end_at > sales_start_at", name="ck_events_sale_window"),
        sa.ForeignKeyConstraint(
            ["organization_id", "venue_id"],
            ["venues.organization_id", "venues.id"],
            name="fk_events_organization_id_venue_id",
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_events_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("organization_id", "id", name="uq_events_organization_id_id"),
    )
    op.create_index(
        "ix_events_public",
        "events",
        ["starts_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'published'"),
    )
    op.create_table(
        "seating_plans",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("layout", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("version >= 1", name="ck_seating_plans_version"),
        sa.ForeignKeyConstraint(
            ["organization_id", "venue_id"],
            ["venues.organization_id", "venues.id"],
            name="fk_seating_plans_organization_id_venue_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "venue_id", "version", name="pk_seating_plans"),
    )
    op.create_table(
        "event_seats",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="a", nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("(status = 'h') = (held_until is not null)", name="ck_event_seats_held_until"),
        sa.CheckConstraint("(status in ('h', 's')) = (reservation_id is not null)", name="ck_event_seats_owner"),
        sa.CheckConstraint("status in ('a', 'h', 's', 'b')", name="ck_event_seats_status"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_event_seats_organization_id_event_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "event_id", "number", name="pk_event_seats"),
        sa.UniqueConstraint(
            "organization_id", "event_id", "label", name="uq_event_seats_organization_id_event_id_label"
        ),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "plan_seats",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("venue_id", sa.Uuid(), nullable=False),
        sa.Column("plan_version", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.Column("seat", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=True),
        sa.Column("y", sa.Double(), nullable=True),
        sa.CheckConstraint("number >= 0", name="ck_plan_seats_number"),
        sa.ForeignKeyConstraint(
            ["organization_id", "venue_id", "plan_version"],
            ["seating_plans.organization_id", "seating_plans.venue_id", "seating_plans.version"],
            name="fk_plan_seats_organization_id_venue_id_plan_version",
        ),
        sa.PrimaryKeyConstraint("organization_id", "venue_id", "plan_version", "number", name="pk_plan_seats"),
        sa.UniqueConstraint(
            "organization_id",
            "venue_id",
            "plan_version",
            "label",
            name="uq_plan_seats_organization_id_venue_id_plan_version_label",
        ),
    )
    op.create_table(
        "reservations",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("extensions", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status in ('active', 'confirmed', 'expired', 'cancelled')", name="ck_reservations_status"),
        sa.CheckConstraint("extensions >= 0", name="ck_reservations_extensions"),
        sa.CheckConstraint("total_minor >= 0", name="ck_reservations_total"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_reservations_organization_id_event_id",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_reservations_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
        sa.UniqueConstraint("organization_id", "id", name="uq_reservations_organization_id_id"),
    )
    op.create_index(
        "ix_reservations_organization_id_event_id", "reservations", ["organization_id", "event_id"], unique=False
    )
    op.create_index(
        "ix_reservations_running_out",
        "reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index("ix_reservations_user_id_id", "reservations", ["user_id", "id"], unique=False)
    op.create_table(
        "ticket_types",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sold", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_per_order", sa.Integer(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("held + sold <= coalesce(capacity, 0)", name="ck_ticket_types_capacity"),
        sa.CheckConstraint("held >= 0 and sold >= 0", name="ck_ticket_types_counters"),
        sa.CheckConstraint("max_per_order between 1 and 1000", name="ck_ticket_types_max_per_order"),
        sa.CheckConstraint("price_minor >= 0", name="ck_ticket_types_price"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_ticket_types_organization_id_event_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_types"),
        sa.UniqueConstraint("event_id", "name", name="uq_ticket_types_event_id_name"),
        sa.UniqueConstraint("organization_id", "id", name="uq_ticket_types_organization_id_id"),
    )
    op.create_index(
        "ix_ticket_types_organization_id_event_id", "ticket_types", ["organization_id", "event_id"], unique=False
    )
    op.create_table(
        "category_prices",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("ticket_type_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_category_prices_organization_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "ticket_type_id"],
            ["ticket_types.organization_id", "ticket_types.id"],
            name="fk_category_prices_organization_id_ticket_type_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "event_id", "category", name="pk_category_prices"),
    )
    op.create_table(
        "orders",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("buyer_email", sa.Text(), nullable=False),
        sa.Column("buyer_name", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status in ('pending', 'paid', 'partially_refunded', 'refunded', 'expired', 'cancelled')",
            name="ck_orders_status",
        ),
        sa.CheckConstraint("refunded_minor between 0 and total_minor", name="ck_orders_refunded"),
        sa.CheckConstraint("total_minor >= 0", name="ck_orders_total"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_orders_organization_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "reservation_id"],
            ["reservations.organization_id", "reservations.id"],
            name="fk_orders_organization_id_reservation_id",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_orders_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("organization_id", "id", name="uq_orders_organization_id_id"),
        sa.UniqueConstraint("organization_id", "reservation_id", name="uq_orders_organization_id_reservation_id"),
        sa.UniqueConstraint("reference", name="uq_orders_reference"),
    )
    op.create_index("ix_orders_organization_id_buyer_email", "orders", ["organization_id", "buyer_email"], unique=False)
    op.create_index(
        "ix_orders_organization_id_event_id_id", "orders", ["organization_id", "event_id", "id"], unique=False
    )
    op.create_index("ix_orders_user_id_id", "orders", ["user_id", "id"], unique=False)
    op.create_table(
        "reservation_items",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=True),
        sa.Column("seat_label", sa.Text(), nullable=True),
        sa.Column("ticket_type_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("is_confirmed", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("(seat_number is null) = (seat_label is null)", name="ck_reservation_items_seat"),
        sa.CheckConstraint("price_minor >= 0", name="ck_reservation_items_price"),
        sa.CheckConstraint("quantity >= 1", name="ck_reservation_items_quantity"),
        sa.CheckConstraint("seat_number is null or quantity = 1", name="ck_reservation_items_one_seat"),
        sa.ForeignKeyConstraint(
            ["organization_id", "reservation_id"],
            ["reservations.organization_id", "reservations.id"],
            name="fk_reservation_items_organization_id_reservation_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "reservation_id", "position", name="pk_reservation_items"),
    )
    op.create_index(
        "uq_reservation_items_confirmed_seat",
        "reservation_items",
        ["organization_id", "event_id", "seat_number"],
        unique=True,
        postgresql_where=sa.text("is_confirmed and seat_number is not null"),
    )
    op.create_table(
        "order_lines",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=True),
        sa.Column("seat_label", sa.Text(), nullable=True),
        sa.Column("ticket_type_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name="ck_order_lines_price"),
        sa.CheckConstraint("quantity >= 1", name="ck_order_lines_quantity"),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["orders.organization_id", "orders.id"],
            name="fk_order_lines_organization_id_order_id",
        ),
        sa.PrimaryKeyConstraint("organization_id", "order_id", "position", name="pk_order_lines"),
    )
    op.create_table(
        "payments",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("checkout_url", sa.Text(), nullable=True),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("provider in ('mock', 'stripe')", name="ck_payments_provider"),
        sa.CheckConstraint(
            "status in ('pending', 'failed', 'superseded', 'succeeded', 'refunded')", name="ck_payments_status"
        ),
        sa.CheckConstraint("amount_minor > 0", name="ck_payments_amount"),
        sa.CheckConstraint("refunded_minor between 0 and amount_minor", name="ck_payments_refunded"),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["orders.organization_id", "orders.id"],
            name="fk_payments_organization_id_order_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("organization_id", "id", name="uq_payments_organization_id_id"),
        sa.UniqueConstraint("provider", "provider_ref", name="uq_payments_provider_provider_ref"),
    )
    op.create_index("ix_payments_organization_id_order_id", "payments", ["organization_id", "order_id"], unique=False)
    op.create_index(
        "uq_payments_one_open", "payments", ["order_id"], unique=True, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index(
        "uq_payments_one_success",
        "payments",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("status = 'succeeded'"),
    )
    op.create_table(
        "tickets",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.SmallInteger(), nullable=False),
        sa.Column("seat_number", sa.Integer(), nullable=True),
        sa.Column("seat_label", sa.Text(), nullable=True),
        sa.Column("ticket_type_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code_version", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("checked_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_in_gate", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(status = 'checked_in') <= (checked_in_at is not null)", name="ck_tickets_checked_in_at"),
        sa.CheckConstraint("status in ('issued', 'checked_in', 'voided')", name="ck_tickets_status"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_tickets_organization_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["orders.organization_id", "orders.id"],
            name="fk_tickets_organization_id_order_id",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tickets_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sa.UniqueConstraint("organization_id", "id", name="uq_tickets_organization_id_id"),
        sa.UniqueConstraint(
            "organization_id", "order_id", "position", "unit", name="uq_tickets_organization_id_order_id_position_unit"
        ),
    )
    op.create_index("ix_tickets_organization_id_event_id", "tickets", ["organization_id", "event_id"], unique=False)
    op.create_index("ix_tickets_user_id_id", "tickets", ["user_id", "id"], unique=False)
    op.create_index(
        "uq_tickets_one_per_seat",
        "tickets",
        ["organization_id", "event_id", "seat_number"],
        unique=True,
        postgresql_where=sa.text("seat_number is not null and status <> 'voided'"),
    )
    op.create_table(
        "check_ins",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scanned_by", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("result in ('admitted', 'already_checked_in', 'voided')", name="ck_check_ins_result"),
        sa.ForeignKeyConstraint(
            ["organization_id", "event_id"],
            ["events.organization_id", "events.id"],
            name="fk_check_ins_organization_id_event_id",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "ticket_id"],
            ["tickets.organization_id", "tickets.id"],
            name="fk_check_ins_organization_id_ticket_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_check_ins"),
    )
    op.create_index(
        "ix_check_ins_organization_id_event_id_id", "check_ins", ["organization_id", "event_id", "id"], unique=False
    )
    op.create_index(
        "uq_check_ins_nonce",
        "check_ins",
        ["organization_id", "event_id", "nonce"],
        unique=True,
        postgresql_where=sa.text("nonce is not null"),
    )
    op.create_index(
        "uq_check_ins_one_admission",
        "check_ins",
        ["ticket_id"],
        unique=True,
        postgresql_where=sa.text("result = 'admitted'"),
    )
    op.create_table(
        "refunds",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status in ('requested', 'sent', 'succeeded', 'failed')", name="ck_refunds_status"),
        sa.CheckConstraint("amount_minor > 0", name="ck_refunds_amount"),
        sa.ForeignKeyConstraint(
            ["organization_id", "order_id"],
            ["orders.organization_id", "orders.id"],
            name="fk_refunds_organization_id_order_id",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "payment_id"],
            ["payments.organization_id", "payments.id"],
            name="fk_refunds_organization_id_payment_id",
        ),
        sa.ForeignKeyConstraint(["requested_by"], ["users.id"], name="fk_refunds_requested_by"),
        sa.PrimaryKeyConstraint("id", name="pk_refunds"),
        sa.UniqueConstraint("organization_id", "id", name="uq_refunds_organization_id_id"),
    )
    op.create_index("ix_refunds_organization_id_order_id", "refunds", ["organization_id", "order_id"], unique=False)
    op.create_index("ix_refunds_payment_id", "refunds", ["payment_id"], unique=False)
    for statements in (SEAT_OWNER, APPEND_ONLY, PARTITIONS, STATISTICS):
        op.execute(statements)
