"""What a webhook looks up is found by an index, whatever the number of payments and refunds."""

from fastapi import FastAPI

from tests.modules.payments.purchases import order_with_payment, rows
from tests.support.world import World
from ticketing.modules.payments import locked_payment, webhooks
from ticketing.modules.payments.refunds import sender

ROWS = 20_000
SEED = (
    "set local session_replication_role = replica",  # no foreign keys: only the number of rows matters
    """insert into payments (id, organization_id, order_id, provider, provider_ref, status, amount_minor, currency)
       select gen_random_uuid(), organization_id, gen_random_uuid(), provider, 'seed_' || n, 'failed', 1, currency
         from payments, generate_series(1, :rows) n""",
    """insert into refunds (id, organization_id, payment_id, order_id, status, amount_minor, currency, reason,
                            provider_ref)
       select gen_random_uuid(), organization_id, id, order_id, 'succeeded', 1, currency, 'seed', 're_' || provider_ref
         from payments where starts_with(provider_ref, 'seed')""",
    """insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body, processed_at,
                                   outcome)
       select provider, 'evt_' || provider_ref, 'payment.failed', provider_ref, 1, currency, '{}', now(), 'applied'
         from payments where starts_with(provider_ref, 'seed')""",
    "analyze payments",
    "analyze refunds",
    "analyze payment_events",
)
#: The body of `organization_of_payment`, which the planner does not show.
ORGANIZATION = """
select organization_id from payments where provider = 'mock' and provider_ref = 'x'
 union all
select r.organization_id from refunds r join payments p on p.id = r.payment_id
 where p.provider = 'mock' and r.provider_ref = 'x' limit 1"""
FIND_REFUND = """
select r.* from refunds r join payments p on p.organization_id = r.organization_id and p.id = r.payment_id
 where p.provider = 'mock' and r.provider_ref = 'x'"""
REFUNDS_OF_PAYMENT = """
select * from refunds where payment_id = '00000000-0000-0000-0000-000000000000' order by id for update"""
QUERIES = {
    "organization": ORGANIZATION,
    "refund": FIND_REFUND,
    "refunds of a payment": REFUNDS_OF_PAYMENT,
    "payment": locked_payment._LOCK_PAYMENT % ("'mock'", "'x'"),
    "repeated webhook": webhooks._LOCK_UNPROCESSED % ("'mock'", "'x'"),
    "waiting webhook": webhooks._NEXT_DUE,
    "due refunds": sender._CLAIM % ("'mock'", "8", "60"),
    "refunds not sent": "select provider, min(created_at) from watched_refunds where status = 'requested' group by 1",
}


async def test_no_look_up_of_a_webhook_or_refund_reads_a_whole_table(app: FastAPI, world: World) -> None:
    await order_with_payment(world, await world.show(rows=1, seats=1), "Stalls-A-1")
    async with app.state.owner_database.transaction() as session:
        connection = await session.connection()
        for statement in SEED:
            await connection.exec_driver_sql(statement.replace(":rows", str(ROWS)))
    scans = {}
    for name, query in QUERIES.items():
        plan = "\n".join(row[0] for row in await rows(app, f"explain (costs off) {query}"))
        assert "Index" in plan, name
        scans[name] = [line.strip() for line in plan.splitlines() if "Seq Scan" in line]
    assert scans == {name: [] for name in QUERIES}
