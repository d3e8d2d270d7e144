"""Group commit: requests of one kind and organization that arrive during a commit share the next transaction."""

from ticketing.infra.group_commit.group_commit import GroupCommit
from ticketing.infra.group_commit.owner_lookup import OwnerLookup
from ticketing.infra.group_commit.pending import Committer, Pending, Unusual
from ticketing.infra.group_commit.transaction import batch_transaction

__all__ = ["Committer", "GroupCommit", "OwnerLookup", "Pending", "Unusual", "batch_transaction"]
