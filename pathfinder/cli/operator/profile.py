"""Tells `pfi` about a Pathfinder that was started here. Profiles that somebody else wrote stay as they are."""

from collections.abc import Mapping

from pathfinder.cli.pfi.profiles import DEFAULT_PROFILE, DEFAULTS, Profiles
from pathfinder.embedded.home import Home

#: The key of a profile that says which home wrote it.
WRITER = "home"


def save_profile(home: Home, wanted: str, values: Mapping[str, str], *, use: bool) -> str:
    """Write the profile of the Pathfinder of `home`, and return its name: `wanted` unless that is somebody else's.

    `use` makes it the one that pfi uses, unless somebody chose another one.
    """
    file = Profiles.read()
    before = file.current, {name: dict(profile) for name, profile in file.profiles.items()}
    name = wanted if _may_write(file, wanted, home, values) else f"{wanted}-{home.digest}"
    if use and _may_switch(file, name, values):
        file.current = name
    file.profiles[name] = dict(values) | {WRITER: str(home.root)}
    if (file.current, file.profiles) != before:
        file.write()
    return name


def forget_profile(home: Home) -> None:
    """Remove the profile that `save_profile` wrote for this home."""
    file = Profiles.read()
    ours = [name for name, profile in file.profiles.items() if profile.get(WRITER) == str(home.root)]
    for name in ours:
        del file.profiles[name]
    if file.current in ours:
        file.current = DEFAULT_PROFILE
    if ours:
        file.write()


def command(profile: str) -> str:
    """What somebody types to use that profile."""
    return "pfi" if Profiles.read().current == profile else f"pfi --profile {profile}"


def _may_write(file: Profiles, name: str, home: Home, values: Mapping[str, str]) -> bool:
    profile = file.profiles.get(name)
    return profile is None or profile.get(WRITER) == str(home.root) or _leads_to(profile, values)


def _may_switch(file: Profiles, name: str, values: Mapping[str, str]) -> bool:
    current = file.profiles.get(file.current)
    return current is None or file.current == name or _leads_to(current, values)


def _leads_to(profile: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all((profile.get(key) or DEFAULTS[key]) == values[key] for key in ("server", "cluster"))
