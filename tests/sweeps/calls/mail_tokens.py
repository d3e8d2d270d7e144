"""Examples of what people do by letter; the links are taken from where a consumer would write them down."""

from sqlalchemy import text

from tests.support.drain import drain
from tests.support.world import API, Person
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import Stage
from ticketing.modules import iam


async def _link(stage: Stage, person: Person, purpose: str) -> str:
    query = text("select id from mail_tokens where user_id = :user and purpose = :purpose order by id desc limit 1")
    async with stage.app.state.worker_database.transaction() as session:
        token_id = await session.scalar(query, {"user": person.id, "purpose": purpose})
    return iam.write_link(iam.MailToken(id=token_id, purpose=purpose))


@example("POST /auth/verify-email")
async def verify_email(stage: Stage) -> Call:
    return Call(None, body={"token": await _link(stage, await stage.world.person(), "verify_email")})


@example("POST /me/verify-email")
async def send_verification_again(stage: Stage) -> Call:
    person = await stage.world.person()
    minutes_later = text("update mail_tokens set created_at = created_at - interval '2 minutes' where user_id = :user")
    async with stage.app.state.worker_database.transaction() as session:
        await session.execute(minutes_later, {"user": person.id})
    return Call(person)


@example("POST /auth/password-reset")
async def ask_for_reset(stage: Stage) -> Call:
    return Call(None, body={"email": (await stage.world.person()).email})


@example("POST /auth/password-reset/confirm")
async def reset_password(stage: Stage) -> Call:
    person = await stage.world.person()
    await stage.world.client.post(f"{API}/auth/password-reset", json={"email": person.email})
    await drain(stage.app)
    link = await _link(stage, person, "reset_password")
    return Call(None, body={"token": link, "password": "staple battery horse"})
