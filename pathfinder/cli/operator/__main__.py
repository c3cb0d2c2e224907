"""`python -m pathfinder.cli.operator`, which works before anything is on PATH."""

from pathfinder.cli.operator import main

if __name__ == "__main__":  # not in the processes that work for this one: they read it to know its modules
    main()
