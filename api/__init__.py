"""The HTTP API: translates requests into transactions, and nothing else."""
