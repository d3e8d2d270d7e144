"""Examples of requests with links from emails. The links are built as the consumer that sends them builds them."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from tests.support.drain import drain
from tests.support.world import API, Person
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant
from ticketing.modules import iam


async def _link(tenant: FullTenant, person: Person, purpose: str) -> str:
    its = iam.MailToken.user_id == UUID(person.id), iam.MailToken.purpose == purpose
    query = select(iam.MailToken.id).where(*its).order_by(iam.MailToken.id.desc()).limit(1)
    async with tenant.app.state.worker_database.transaction() as session:
        token_id = await session.scalar(query)
    return iam.write_link(iam.MailToken(id=token_id, purpose=purpose))


@example("POST /auth/verify-email")
async def verify_email(tenant: FullTenant) -> Call:
    return Call(None, body={"token": await _link(tenant, await tenant.world.person(), "verify_email")})


@example("POST /me/verify-email")
async def send_verification_again(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    earlier = update(iam.MailToken).values(created_at=iam.MailToken.created_at - timedelta(minutes=2))
    async with tenant.app.state.worker_database.transaction() as session:
        await session.execute(earlier.where(iam.MailToken.user_id == UUID(person.id)))
    return Call(person)


@example("POST /auth/password-reset")
async def ask_for_reset(tenant: FullTenant) -> Call:
    return Call(None, body={"email": (await tenant.world.person()).email})


@example("POST /auth/password-reset/confirm")
async def reset_password(tenant: FullTenant) -> Call:
    person = await tenant.world.person()
    await tenant.world.client.post(f"{API}/auth/password-reset", json={"email": person.email})
    await drain(tenant.app)
    link = await _link(tenant, person, "reset_password")
    return Call(None, body={"token": link, "password": "staple battery horse"})
