"""Inventory of personal data: what the export contains, and what it omits for which reason."""

from ticketing.modules import iam, orders, organizations, payments, reservations, tickets

PARTS = (
    *iam.personal_data.PARTS,
    *organizations.personal_data.PARTS,
    *reservations.personal_data.PARTS,
    *orders.personal_data.PARTS,
    *payments.personal_data.PARTS,
    *tickets.personal_data.PARTS,
)

_DIGEST = "a secret or a digest of one: useless to its owner, useful to someone who steals the export"
_SETTING = "a setting of the organization"
_SAME = "the same as another column that is exported"
_COPY = "holds ids only, repeats rows that are exported, and is dropped after OUTBOX_RETENTION_DAYS"

#: `table.column` that refers to a user and is not exported, with the reason. A test compares this with every column.
NOT_EXPORTED = {
    "users.email_normalized": _SAME,
    "users.password_hash": _DIGEST,
    "users.erased_at": "an erased account cannot request an export",
    "sessions.user_id": _SAME,
    "refresh_tokens.spent_by": _DIGEST,
    "mail_tokens.user_id": _SAME,
    "confirmed_recipients.user_id": _SAME,
    "second_factors.user_id": _SAME,
    "second_factors.sealed_secret": _DIGEST,
    "second_factors.recovery_hashes": _DIGEST,
    "members.user_id": _SAME,
    "support_people.user_id": _SAME,
    "api_keys.created_by": _SAME,
    "invitations.invited_by": "a staff member, whose actions are exported as audit entries",
    "devices.created_by": _SAME,
    "reservations.buyer_identity": _DIGEST,
    "orders.buyer_identity": _DIGEST,
    "refunds.requested_by": "a staff member, whose actions are exported as audit entries",
    "organizations.buyer_data_days": _SETTING,
    "organizations.provider_refund_tickets": _SETTING,
    "events.max_per_buyer": _SETTING,
    "events.max_held_per_buyer": _SETTING,
    "idempotency_keys.caller": "a response that its caller already received, kept for IDEMPOTENCY_RETENTION_HOURS",
    "idempotency_keys.body": "a response that its caller already received, kept for IDEMPOTENCY_RETENTION_HOURS",
    "outbox.actor": _COPY,
    "outbox.payload": _COPY,
    "dead_letters.message": _COPY,
    "webhook_endpoints.sealed_secret": _DIGEST,
    "webhook_endpoints.sealed_old_secret": _DIGEST,
    "webhook_endpoints.old_secret_until": _SETTING,
    "webhook_deliveries.body": "holds ids only, repeats exported rows, and is deleted after WEBHOOK_DELIVERY_DAYS",
}
