"""Examples of webhooks. An organization has few, so most speak of the one that the stage has."""

from uuid import uuid4

from tests.support.world import data
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import Stage

PATH = "/orgs/{org_id}/webhooks"


def _ids(stage: Stage, **more: str) -> dict[str, str]:
    return {"org_id": stage.tenant.id, "webhook_id": stage.webhook["id"], **more}


@example(f"POST {PATH}")
async def create_webhook(stage: Stage) -> Call:
    body = {"url": f"https://hooks.example.com/{uuid4().hex}", "types": ["order.*"], "description": "Books"}
    return Call(stage.admin, {"org_id": stage.tenant.id}, body)


@example(f"PATCH {PATH}/{{webhook_id}}")
async def update_webhook(stage: Stage) -> Call:
    changes = {"url": "https://hooks.example.com/b", "types": ["order.paid"], "enabled": True}
    return Call(stage.admin, _ids(stage), {**changes, "description": uuid4().hex})


@example(f"DELETE {PATH}/{{webhook_id}}")
async def delete_webhook(stage: Stage) -> Call:
    body = {"url": "https://hooks.example.com/old"}
    made = data(await stage.admin.post(stage.tenant.path("/webhooks"), body), 201)
    return Call(stage.admin, {"org_id": stage.tenant.id, "webhook_id": made["id"]})


@example(f"POST {PATH}/{{webhook_id}}/rotate-secret")
async def rotate_secret(stage: Stage) -> Call:
    return Call(stage.admin, _ids(stage))


@example(f"POST {PATH}/{{webhook_id}}/test")
async def send_test(stage: Stage) -> Call:
    return Call(stage.admin, _ids(stage))


@example(f"POST {PATH}/{{webhook_id}}/deliveries/{{message_id}}/redeliver")
async def redeliver(stage: Stage) -> Call:
    return Call(stage.admin, _ids(stage, message_id=stage.delivery["message_id"]))
