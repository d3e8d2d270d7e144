"""The inventory of an event: its seats and general-admission places, and their owners."""
