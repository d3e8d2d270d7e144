"""Group commit for holds: the fair queue, the batch, and the fast path."""
