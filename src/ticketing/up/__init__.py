"""The whole platform on one machine: `ticketing up`."""
