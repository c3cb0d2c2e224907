"""Pathfinder makes a fleet of LXD machines behave as one."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pathfinder-orchestrator")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+source"
