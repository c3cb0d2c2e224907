"""The settings of a command, from the environment. Those that cannot be are wrong usage, named by their variable."""

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from pathfinder.settings import Settings

PREFIX = str(Settings.model_config["env_prefix"])


def settings() -> Settings:
    """The settings; exit status 2 where one cannot be."""
    try:
        return Settings()
    except ValidationError as invalid:
        # Not their values: some are secrets.
        wrong = [f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in invalid.errors()]
        raise typer.BadParameter("; ".join(wrong)) from None
    except SettingsError as unreadable:
        field = next((name for name in Settings.model_fields if f'"{name}"' in str(unreadable)), "")
        raise typer.BadParameter(f"{PREFIX}{field.upper()}: it is not JSON") from None
