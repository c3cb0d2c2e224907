"""The commands: `pfi` for users, `pathfinder` for operators."""
