"""`pfi`: the command of Pathfinder's users."""

import sys


def main() -> None:
    """Run `pfi` and exit with one of the codes of `failures.ExitCode`."""
    from pathfinder.cli.pfi.app import start

    sys.exit(start(sys.argv[1:]))


__all__ = ["main"]
