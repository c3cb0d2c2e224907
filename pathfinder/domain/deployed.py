"""A deployment as decisions see it: its row and its revisions, while it is locked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from pathfinder.domain.deployments import Strategy, check_size, replica_name
from pathfinder.domain.errors import FieldProblem, Invalid
from pathfinder.domain.fields import field_path, words
from pathfinder.domain.meta import PREFIX, Facts, check_own, reads, render
from pathfinder.domain.specs import ContainerSpec

#: Replicas carry it, so that rules about their company and lists can name them.
LABEL = "deployment"

#: Cause of a revision that only makes every replica anew.
RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Revision:
    """One template of a deployment, as it was written: its texts may be `$pf-meta:` functions."""

    revision: int
    template: dict[str, Any]
    cause: str
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment and its revisions, by their numbers. `revision` is the one that is wanted, `stable` the last one
    that was rolled out whole. `document` is what was applied beside the rest. `rollout` is how far the rollout is.
    """

    id: UUID
    cluster_id: UUID
    cluster: str
    name: str
    labels: Mapping[str, str]
    document: Mapping[str, Any]
    replicas: int
    version: int
    revision: int
    stable: int | None
    paused: bool
    leaving: bool
    rollout: Mapping[str, Any]
    message: str | None
    wake_at: datetime | None
    created_at: datetime
    changed_at: datetime
    revisions: Mapping[int, Revision] = field(default_factory=dict)

    @property
    def template(self) -> dict[str, Any]:
        """That of the wanted revision."""
        return self.revisions[self.revision].template

    @property
    def strategy(self) -> Strategy:
        """How changes are rolled out."""
        return _strategy(orjson.dumps(self.document.get("strategy", {})))

    @property
    def min_available_replicas(self) -> int:
        """So many stay well whatever we do ourselves."""
        return int(self.document.get("min_available_replicas", 0))

    @property
    def autoscaling(self) -> dict[str, Any] | None:
        """How it is scaled; None: by hand."""
        return self.document.get("autoscaling")

    @property
    def reads(self) -> list[str]:
        """The deployments whose addresses the wanted template reads."""
        return list(self.document.get("reads", ()))

    @property
    def declared(self) -> dict[str, Any]:
        """What is declared, as it could be applied again."""
        return declared(self.name, self.labels, self.replicas, self.document, self.template)

    def must_rebuild(self, revision: int) -> bool:
        """Whether a replica of that revision is to be made anew however little differs: a restart was asked for."""
        return any(one.cause == RESTART and revision < one.revision <= self.revision for one in self.revisions.values())


def declared(
    name: str, labels: Mapping[str, str], replicas: int, document: Mapping[str, Any], template: Mapping[str, Any]
) -> dict[str, Any]:
    """The parts of a deployment as one document, as it could be applied again."""
    return {
        "name": name,
        "labels": labels,
        "replicas": replicas,
        "min_available_replicas": document.get("min_available_replicas", 0),
        "template": template,
        "strategy": document.get("strategy", {}),
        "autoscaling": document.get("autoscaling"),
    }


@cache
def _strategy(document: bytes) -> Strategy:
    return Strategy.model_validate_json(document)


def replica_spec(deployment: Deployment, revision: int, number: int, facts: Facts) -> ContainerSpec:
    """What the replica of that number is asked for as, by the template of that revision.

    Raises Invalid where it cannot be, with fields like `template.memory`: what functions give may be what the
    place they stand in does not take.
    """
    return spec_of(deployment.name, deployment.revisions[revision].template, number, facts)


#: Stands for addresses that nobody has yet (RFC 5737), so that what is made of them can be checked.
EXAMPLE = ("192.0.2.1",)


def check_template(name: str, template: Mapping[str, Any], replicas: int) -> ContainerSpec:
    """Whether replicas of the deployment `name` can be made of this template, as far as it alone tells; the first of
    them. Raises Invalid, with fields like `template.memory`.
    """
    check_size(name, replicas, 0)
    try:
        found = reads(template)
        check_own(name, found)
    except Invalid as error:
        problems = [FieldProblem(f"template.{one.field}", one.message) for one in error.problems]
        raise Invalid(error.message, problems) from error
    facts = Facts(replicas, dict.fromkeys(found, EXAMPLE))
    first, _ = (spec_of(name, template, number, facts) for number in (1, max(replicas, 1)))
    return first


def spec_of(name: str, template: Mapping[str, Any], number: int, facts: Facts) -> ContainerSpec:
    """What the replica of that number of the deployment `name` is asked for as. Raises Invalid."""
    if problems := _ours(name, template):
        raise Invalid(f"The template of {name!r} is not right.", problems)
    text = orjson.dumps(template)
    if PREFIX.encode() in text:
        text = orjson.dumps(render(template, number, facts))
    try:
        return _checked(name, text).named(replica_name(name, number))
    except ValidationError as error:
        problems = [
            FieldProblem(field_path(("template", *one["loc"])), words(dict(one)))
            for one in error.errors(include_url=False)[:50]
        ]
        raise Invalid(f"The template of {name!r} is not right.", problems) from error


def _ours(name: str, template: Mapping[str, Any]) -> list[FieldProblem]:
    """What a template says that is not its to say."""
    problems = []
    if "hostname" in template:
        problems.append(FieldProblem("template.hostname", "replicas are named by their numbers; leave it out"))
    if isinstance(labels := template.get("labels"), dict) and labels.get(LABEL, name) != name:
        problems.append(FieldProblem(f"template.labels.{LABEL}", f"is {name!r} for every replica; leave it out"))
    return problems


@lru_cache(4096)
def _checked(name: str, template: bytes) -> ContainerSpec:
    """Equal replicas are checked once, and share a shape."""
    document = orjson.loads(template)
    labels = document.get("labels")
    if isinstance(labels, dict | None):
        document["labels"] = {**(labels or {}), LABEL: name}
    spec = ContainerSpec.model_validate({**document, "hostname": replica_name(name, 1)})
    spec.shape, spec.resources  # noqa: B018 - kept, for those that are made from it
    return spec
