"""Which server, cluster and token to use: the file `~/.pfi/config` and what overrides it.

    current_profile = "default"

    [profiles.default]
    server = "http://127.0.0.1:8080"
    cluster = "default"
    token = "…"
    ca = "/etc/ssl/pathfinder/ca.crt"

`ca` has the authorities that https servers are trusted by; without it, the system's are.

Flags win over PFI_SERVER, PFI_CLUSTER, PFI_TOKEN and PFI_CA, these over the profile, and the profile over the defaults.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_PROFILE = "default"
DEFAULTS: Mapping[str, str] = {"server": "http://127.0.0.1:8080", "cluster": "default", "token": "", "ca": ""}
KEYS = tuple(DEFAULTS)


class ConfigError(Exception):
    """The configuration cannot be used as it is. The message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. The token stays out of `repr`, so that no log or traceback shows it."""

    server: str
    cluster: str
    token: str = field(repr=False)
    ca: str = ""


@dataclass(slots=True)
class Profiles:
    """The configuration file."""

    path: Path
    current: str = DEFAULT_PROFILE
    profiles: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Profiles":
        """The file as it is; an absent one is an empty one."""
        path = Path(environ.get("PFI_CONFIG") or Path.home() / ".pfi" / "config").expanduser()
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{path} is not TOML: {exc}") from exc
        except OSError as exc:
            raise ConfigError(f"Cannot read {path}: {exc.strerror}") from exc
        return cls(path, _text(document, "current_profile", path) or DEFAULT_PROFILE, _profiles(document, path))

    def named(self, name: str) -> dict[str, str]:
        """A profile by name. The default one needs no file."""
        if name not in self.profiles and name != DEFAULT_PROFILE:
            known = ", ".join(sorted(self.profiles)) or "none"
            raise ConfigError(
                f"There is no profile {name!r} in {self.path} (there: {known}). "
                f"Make it with: pfi --profile {name} config set server URL"
            )
        return self.profiles.get(name, {})

    def set(self, name: str, key: str, value: str) -> None:
        """Set one value of a profile, making the profile if it is new."""
        self.profiles.setdefault(name, {})[key] = value

    def write(self) -> None:
        """Save the file, readable by its owner alone: it holds tokens. A reader sees the old or the new, never half."""
        import tomli_w  # only `config set` and `use-profile` write

        document = {"current_profile": self.current, "profiles": self.profiles}
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                tomli_w.dump(document, file)
            draft.replace(self.path)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise ConfigError(f"Cannot write {self.path}: {exc.strerror}") from exc


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str] = os.environ) -> Target:
    """The target that flags (`profile`, `server`, `cluster`), the environment and the file add up to."""
    file = Profiles.read(environ)
    profile = file.named(flags.get("profile") or environ.get("PFI_PROFILE") or file.current)

    def value(key: str) -> str:
        # The token has no flag: every user of a machine can read the arguments of its processes.
        flag = flags.get(key) if key != "token" else None
        return flag or environ.get(f"PFI_{key.upper()}") or profile.get(key) or DEFAULTS[key]

    return Target(value("server"), value("cluster"), value("token").strip(), value("ca"))


def _profiles(document: Mapping[str, Any], path: Path) -> dict[str, dict[str, str]]:
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(profile, dict) for profile in profiles.values()):
        raise ConfigError(f"{path}: 'profiles' must hold tables like [profiles.default]")
    return {name: {key: _text(profile, key, path) for key in profile} for name, profile in profiles.items()}


def _text(table: Mapping[str, Any], key: str, path: Path) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key!r} must be a string, in quotes")
    return value
