"""The driver's connection: its address, its time limits, its round trips, and its errors."""
