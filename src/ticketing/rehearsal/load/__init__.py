"""The load generator of a rehearsal: processes of virtual buyers, and their statistics."""
