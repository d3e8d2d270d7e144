"""Everything that we hold of a person: what the export shows, and what it leaves out, and why."""

from ticketing.modules import iam, orders, organizations, payments, reservations, tickets

PARTS = (
    *iam.personal_data.PARTS,
    *organizations.personal_data.PARTS,
    *reservations.personal_data.PARTS,
    *orders.personal_data.PARTS,
    *payments.personal_data.PARTS,
    *tickets.personal_data.PARTS,
)

_DIGEST = "a secret, or a digest of one: it says nothing to its owner, and would help whoever steals the export"
_SETTING = "a setting of the organization"
_SAME = "the same as another column that is exported"
_COPY = "holds ids only, repeats rows that are exported, and is dropped after OUTBOX_RETENTION_DAYS"

#: `table.column` of what refers to a person and is not exported, with the reason. A test knows every column there is.
NOT_EXPORTED = {
    "users.email_normalized": _SAME,
    "users.password_hash": _DIGEST,
    "users.erased_at": "nobody is left to ask for it",
    "sessions.user_id": _SAME,
    "refresh_tokens.spent_by": _DIGEST,
    "mail_tokens.user_id": _SAME,
    "second_factors.user_id": _SAME,
    "second_factors.sealed_secret": _DIGEST,
    "second_factors.recovery_hashes": _DIGEST,
    "members.user_id": _SAME,
    "support_people.user_id": _SAME,
    "api_keys.created_by": _SAME,
    "devices.created_by": _SAME,
    "reservations.buyer_identity": _DIGEST,
    "orders.buyer_identity": _DIGEST,
    "refunds.requested_by": "a member of the staff; what they did is among the audit entries that they caused",
    "organizations.buyer_data_days": _SETTING,
    "events.max_per_buyer": _SETTING,
    "idempotency_keys.caller": "an answer that was given to its caller already, kept for IDEMPOTENCY_RETENTION_HOURS",
    "idempotency_keys.body": "an answer that was given to its caller already, kept for IDEMPOTENCY_RETENTION_HOURS",
    "outbox.actor": _COPY,
    "outbox.payload": _COPY,
    "dead_letters.message": _COPY,
    "webhook_endpoints.sealed_secret": _DIGEST,
    "webhook_endpoints.sealed_old_secret": _DIGEST,
    "webhook_endpoints.old_secret_until": _SETTING,
    "webhook_deliveries.body": "holds ids only, repeats exported rows, and is deleted after WEBHOOK_DELIVERY_DAYS",
}
