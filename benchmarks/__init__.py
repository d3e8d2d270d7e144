"""What `make bench` runs: ratios within one run on one machine, never absolute times."""
