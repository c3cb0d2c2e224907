"""What can be declared in files: documents with a `kind`, and the schema that editors check them by."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pathfinder.domain.deployed import check_template
from pathfinder.domain.deployments import DeploymentSpec
from pathfinder.domain.fields import Hostname
from pathfinder.domain.meta import PREFIX
from pathfinder.domain.policies import PolicyDocument
from pathfinder.domain.specs import ClusterPatch, ContainerSpec


class ClusterDocument(ClusterPatch):
    """A cluster as it shall be; what is left out stays, or is as usual in a new one."""

    name: Hostname


#: In the order they are applied: what is named goes before who names it.
KINDS: Mapping[str, type[BaseModel]] = {
    "Policy": PolicyDocument,
    "Cluster": ClusterDocument,
    "Deployment": DeploymentSpec,
}

#: Kinds that people know from elsewhere, and what there is instead.
INSTEAD = {
    "Remote": "image servers are what the agents know: write an image as ubuntu:26.04, images:debian/13 or local:mine",
    "Container": "a single container is made by `pfi create container`; declare a Deployment with one replica",
}

_FUNCTION = {"type": "string", "pattern": "^" + PREFIX.replace("$", r"\$")}


def check(kind: str, body: BaseModel) -> None:
    """Whether a document can be right, as far as it alone tells. Raises Invalid with the fields that are wrong."""
    if isinstance(body, DeploymentSpec):
        check_template(body.name, body.template, body.replicas)


def schema() -> dict[str, Any]:
    """The JSON schema of a document of any kind."""
    definitions: dict[str, Any] = {}
    for kind, model in KINDS.items():
        document = model.model_json_schema(ref_template="#/$defs/{model}")
        if kind == "Deployment":
            template = _with_functions(_template())
            definitions |= template.pop("$defs", {})
            document["properties"]["template"] = template
        definitions |= document.pop("$defs", {})
        document["properties"] = {"kind": {"const": kind}, **document["properties"]}
        document["required"] = ["kind", *document.get("required", [])]
        definitions[kind] = document
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pathfinder",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/$defs/{kind}"}} for kind in KINDS
        ],
        "$defs": definitions,
    }


def _template() -> dict[str, Any]:
    """What a container takes, without a hostname; definitions are called otherwise than in requests."""
    found = ContainerSpec.model_json_schema(ref_template="#/$defs/Template{model}")
    found["$defs"] = {f"Template{name}": one for name, one in found.get("$defs", {}).items()}
    found["properties"].pop("hostname")
    found.pop("required", None)
    found["description"] = "What each replica takes."
    return found


def _with_functions(schema: Any) -> Any:
    """The same, with a `$pf-meta:` function in the place of any value."""
    if isinstance(schema, list):
        return [_with_functions(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {}
    for key, one in schema.items():
        if key in ("properties", "$defs") and isinstance(one, dict):
            wrap = _or_function if key == "properties" else _with_functions
            changed[key] = {name: wrap(value) for name, value in one.items()}
        elif key in ("items", "additionalProperties") and isinstance(one, dict):
            changed[key] = _or_function(one)
        else:
            changed[key] = _with_functions(one) if key in ("anyOf", "allOf", "oneOf") else one
    return changed


def _or_function(schema: Any) -> Any:
    about = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    rest = {key: value for key, value in _with_functions(schema).items() if key not in about}
    return {**about, "anyOf": [rest, _FUNCTION]}
