"""Password hashing, digests and encryption at rest."""

from ticketing.infra.security.crypto import (
    SealUnknown,
    authorization,
    find_claims,
    fingerprint,
    hash_password,
    identify,
    is_keyed_digest,
    keyed_digest,
    keyed_digests,
    needs_rehash,
    new_secret,
    seal,
    unseal,
    verify_password,
)

__all__ = [
    "SealUnknown",
    "authorization",
    "find_claims",
    "fingerprint",
    "hash_password",
    "identify",
    "is_keyed_digest",
    "keyed_digest",
    "keyed_digests",
    "needs_rehash",
    "new_secret",
    "seal",
    "unseal",
    "verify_password",
]
