"""Results as JSON, YAML or names: the API's own views, so that scripts see one shape everywhere."""

from collections.abc import Sequence

from pydantic import BaseModel

from pathfinder.cli.pfi.terminal import say


def as_json(item: BaseModel) -> str:
    """One object on one line."""
    return item.model_dump_json()


def as_yaml(item: BaseModel) -> str:
    """One object as a YAML document."""
    import yaml  # no other output needs it

    return str(yaml.safe_dump(item.model_dump(mode="json"), sort_keys=False, allow_unicode=True)).rstrip()


def documents(items: Sequence[BaseModel], output: str, *, single: bool) -> None:
    """Write items whole, as `json` or `yaml`: one object if one was asked for by name, else a list."""
    data = [item.model_dump(mode="json") for item in items]
    document = data[0] if single and data else data
    if output == "json":
        import json

        say(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        import yaml

        say(str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)).rstrip())
