"""Stored texts that requests are compared with, in the composed form in which requests arrive: NFC."""

from collections.abc import Sequence

from alembic import op

revision: str = "0033"
down_revision: str | None = "0032"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COLUMNS = {
    "event_seats": ("label", "category"),
    "plan_seats": ("label", "section", "row", "seat", "category"),
    "category_prices": ("category",),
    "ticket_types": ("name",),
    "venues": ("name", "city"),
    "events": ("title",),
}
LAYOUTS = """
update seating_plans set layout = normalize(layout::text)::jsonb where layout::text is not nfc normalized"""


def compose(table: str) -> str:
    """Compose the columns of a table. Only the rows that change are locked.

    Two names that differ in nothing but their form keep it: they are unique. The other rows then change one by one.
    """
    composed = ", ".join(f'"{column}" = normalize("{column}")' for column in COLUMNS[table])
    is_decomposed = " or ".join(f'"{column}" is not nfc normalized' for column in COLUMNS[table])
    return f"""
do $$ declare place tid;
begin
    update {table} set {composed} where {is_decomposed};
exception when unique_violation then
    for place in select ctid from {table} where {is_decomposed} loop
        begin
            update {table} set {composed} where ctid = place;
        exception when unique_violation then
            null;
        end;
    end loop;
end $$"""


def upgrade() -> None:
    for table in COLUMNS:
        op.execute(compose(table))
    op.execute(LAYOUTS)


def downgrade() -> None:
    """The earlier release reads composed texts as well."""
