"""`python -m pathfinder.cli.operator`, which works before anything is on PATH."""

from pathfinder.cli.operator import main

main()
