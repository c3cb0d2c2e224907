"""`python -m pathfinder.cli.pfi`."""

from pathfinder.cli.pfi import main

main()
