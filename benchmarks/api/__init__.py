"""Benchmarks of one API process under load, with rate limits on."""
