"""`make bench`: what Pathfinder costs, measured beside LXD driven without it. See `python -m benchmarks --help`."""
