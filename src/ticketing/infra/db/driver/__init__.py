"""The driver's connection: its time limits, its round trips, and its errors."""
