"""Purchase limits per person over all their orders."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# The identity of an address, for one event. ada+1@ and ada+2@ are one mailbox, and Google ignores dots:
# https://support.google.com/mail/answer/7436150. Python has already lower-cased the address and normalized its domain.
# The identity is a digest salted with the event: reservations contain no address, and cannot be matched across events.
BUYER_IDENTITY = """
create function buyer_identity(event_id uuid, email text) returns bytea
    language sql immutable strict parallel safe as $$
    select substr(sha256(convert_to(event_id || ' ' || mailbox || '@' || domain, 'UTF8')), 1, 16)
      from (select coalesce(nullif(split_part(local_part, '+', 1), ''), local_part) as name,
                   case domain when 'googlemail.com' then 'gmail.com' else domain end as domain
              from (select split_part(email, '@', 1), split_part(email, '@', 2)) as a (local_part, domain)) as plain,
           lateral (select case domain when 'gmail.com' then replace(name, '.', '') else name end as mailbox) as folded
$$;
"""

REMEMBER_BUYERS = """
update reservations r set buyer_identity = buyer_identity(r.event_id, u.email_normalized)
  from users u where u.id = r.user_id;
"""

COUNT_WHAT_CAME_BACK = """
update reservation_items i set returned = voided.units
  from (select o.organization_id, o.reservation_id, t.position, count(*) as units from tickets t
          join orders o on o.organization_id = t.organization_id and o.id = t.order_id
         where t.status = 'voided' group by 1, 2, 3) voided
 where i.organization_id = voided.organization_id and i.reservation_id = voided.reservation_id
   and i.position = voided.position;
"""


def upgrade() -> None:
    op.add_column("events", sa.Column("max_per_buyer", sa.Integer(), nullable=True))
    op.create_check_constraint("ck_events_max_per_buyer", "events", "max_per_buyer between 1 and 1000")
    op.execute(BUYER_IDENTITY)

    op.add_column("reservations", sa.Column("buyer_identity", sa.LargeBinary(), nullable=True))
    op.execute(REMEMBER_BUYERS)
    op.create_index(
        "ix_reservations_organization_id_event_id_buyer_identity",
        "reservations",
        ["organization_id", "event_id", "buyer_identity"],
    )
    op.drop_index("ix_reservations_organization_id_event_id", "reservations")  # the new one has the same first columns

    op.add_column("reservation_items", sa.Column("returned", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint("ck_reservation_items_returned", "reservation_items", "returned between 0 and quantity")
    op.execute(COUNT_WHAT_CAME_BACK)

    digest = sa.Computed("buyer_identity(event_id, buyer_email)", persisted=True)
    op.add_column("orders", sa.Column("buyer_identity", sa.LargeBinary(), digest, nullable=False))
    op.create_index(
        "ix_orders_organization_id_event_id_buyer_identity",
        "orders",
        ["organization_id", "event_id", "buyer_identity"],
    )
