"""The load of a rehearsal: processes of virtual buyers, and what they measure."""
