"""Checks of `make lint` besides style and types: vulnerable dependencies, and secrets in the tree."""
