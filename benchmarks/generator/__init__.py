"""The load generator, in C, and its Python interface."""
