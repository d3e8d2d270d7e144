"""Amounts and times as people read them, and the standards that decide what they are."""
