"""Tells `pfi` about a Pathfinder that was started here."""

from pathfinder.cli.pfi.profiles import Profiles


def save_profile(name: str, server: str, token: str, *, use: bool) -> None:
    """Write a profile into pfi's configuration; others stay. `use` makes it the one pfi uses."""
    file = Profiles.read()
    before = (file.current, dict(file.profiles.get(name, {})))
    for key, value in {"server": server, "cluster": "default", "token": token}.items():
        file.set(name, key, value)
    if use or not file.path.exists():
        file.current = name
    if (file.current, file.profiles[name]) != before:
        file.write()


def forget_profile(name: str, server: str) -> None:
    """Remove a profile, if it still points at that server."""
    file = Profiles.read()
    if file.profiles.get(name, {}).get("server") == server:
        del file.profiles[name]
        file.write()
