"""Benchmarks of the message path: the log, the relay, Kafka, and the consumers."""
