"""Benchmarks of a platform as `ticketing up` starts it."""
