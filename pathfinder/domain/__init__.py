"""The words of Pathfinder and their rules: pure, no I/O, imports nothing of the rest."""
