"""What `make lint` asks beside style and types: known holes in dependencies, and secrets in the tree."""
