"""Name CHECK constraints `ck_<table>_<name>`, as the models do.

The first migrations gave full names, to which the naming convention added its prefix: `ck_orders_ck_orders_total`.
Renaming changes the catalogue only. Each table is locked exclusively, so each has a transaction of its own: requests
wait for one table at a time, and a table that is in use longer than `lock_timeout` leaves the rest for the next run.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DOUBLED = """
select c.relname, o.conname, substr(o.conname, length('ck_' || c.relname || '_') + 1)
  from pg_constraint o join pg_class c on c.oid = o.conrelid
 where o.contype = 'c' and c.relnamespace = 'public'::regnamespace
   and starts_with(o.conname, 'ck_' || c.relname || '_ck_' || c.relname || '_')
 order by 1, 2
"""


def upgrade() -> None:
    doubled = op.get_bind().execute(sa.text(DOUBLED)).all()
    with op.get_context().autocommit_block():
        for table, name, new_name in doubled:
            op.execute(f"alter table {table} rename constraint {name} to {new_name}")
