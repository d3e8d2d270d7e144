"""What the benchmarks run on: databases, API process, broker, and the buyers and seats of the load."""
