"""Examples of webhooks. Their number per organization is limited, so most use the existing one."""

from uuid import uuid4

from tests.support.world import data
from tests.sweeps.calls.call import Call, example
from tests.sweeps.full_tenant import FullTenant

PATH = "/orgs/{org_id}/webhooks"


def _ids(tenant: FullTenant, **more: str) -> dict[str, str]:
    return {"org_id": tenant.organization.id, "webhook_id": tenant.webhook["id"], **more}


@example(f"POST {PATH}")
async def create_webhook(tenant: FullTenant) -> Call:
    body = {"url": f"https://hooks.example.com/{uuid4().hex}", "types": ["order.*"], "description": "Books"}
    return Call(tenant.admin, {"org_id": tenant.organization.id}, body)


@example(f"PATCH {PATH}/{{webhook_id}}")
async def update_webhook(tenant: FullTenant) -> Call:
    changes = {"url": "https://hooks.example.com/b", "types": ["order.paid"], "enabled": True}
    return Call(tenant.admin, _ids(tenant), {**changes, "description": uuid4().hex})


@example(f"DELETE {PATH}/{{webhook_id}}")
async def delete_webhook(tenant: FullTenant) -> Call:
    body = {"url": "https://hooks.example.com/old"}
    made = data(await tenant.admin.post(tenant.organization.path("/webhooks"), body), 201)
    return Call(tenant.admin, {"org_id": tenant.organization.id, "webhook_id": made["id"]})


@example(f"POST {PATH}/{{webhook_id}}/rotate-secret")
async def rotate_secret(tenant: FullTenant) -> Call:
    return Call(tenant.admin, _ids(tenant))


@example(f"POST {PATH}/{{webhook_id}}/test")
async def send_test(tenant: FullTenant) -> Call:
    return Call(tenant.admin, _ids(tenant))


@example(f"POST {PATH}/{{webhook_id}}/deliveries/{{message_id}}/redeliver")
async def redeliver(tenant: FullTenant) -> Call:
    return Call(tenant.admin, _ids(tenant, message_id=tenant.delivery["message_id"]))
