"""`pfi plan -f`: what applying files would do, field by field, and where new replicas would go."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import typer
from pydantic import BaseModel

from pathfinder.cli.pfi import comparing, manifests
from pathfinder.cli.pfi.failures import ExitCode
from pathfinder.cli.pfi.manifests import Manifest, of_kind
from pathfinder.cli.pfi.options import Output
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.terminal import Colour, harmless, has_colour, painted, say
from pathfinder.cli.pfi.words import few
from pathfinder.client import ApiError, Client
from pathfinder.domain.deployment_views import ChangedField, PlannedDeployment
from pathfinder.domain.manifests import ClusterDocument
from pathfinder.domain.policies import Change, PolicyDocument
from pathfinder.domain.views import Plan

#: A value is shown as far as this.
MOST_SHOWN = 60


class Planned(BaseModel):
    """What applying one document would do."""

    kind: str
    name: str
    change: Change
    differences: list[ChangedField]
    replicas: PlannedDeployment | None = None


class FilesPlan(BaseModel):
    """What applying files would do."""

    documents: list[Planned]
    pruned: list[str]
    placements: Plan | None

    @property
    def changes(self) -> bool:
        """Whether anything would be done."""
        return bool(self.pruned) or any(one.change is not Change.UNCHANGED for one in self.documents)


async def make(client: Client, found: Sequence[Manifest], prune: Mapping[str, str] | None) -> FilesPlan:
    """Ask the server what it has, and what it would do."""
    told = [
        _planned(one, *await comparing.policy(client, cast(PolicyDocument, one.model)))
        for one in of_kind(found, "Policy")
    ] + [
        _planned(one, *await comparing.cluster(client, cast(ClusterDocument, one.model)))
        for one in of_kind(found, "Cluster")
    ]
    wanted = of_kind(found, "Deployment")
    if not wanted and prune is None:
        return FilesPlan(documents=told, pruned=[], placements=None)
    try:
        plan = await client.deployments.plan([one.body for one in wanted], prune=prune)
    except ApiError as refusal:
        raise manifests.refused(refusal, wanted) from None
    told += [
        Planned(kind="Deployment", name=one.name, change=one.change, differences=one.differences, replicas=one)
        for one in plan.deployments
    ]
    return FilesPlan(documents=told, pruned=plan.pruned, placements=plan.placements)


def _planned(manifest: Manifest, change: Change, found: Sequence[Any]) -> Planned:
    fields = [ChangedField(field=one.field, before=one.before, after=one.after) for one in found]
    return Planned(kind=manifest.kind, name=manifest.name, change=change, differences=fields)


def tell(plan: FilesPlan, output: Output, placements: Sequence[str]) -> None:
    """Tell a plan, its `placements` in these lines; the exit code says whether there is anything to do."""
    if output in (Output.JSON, Output.YAML):
        documents([plan], output, single=True)
    elif output is Output.NAME:
        for one in plan.documents:
            if one.change is not Change.UNCHANGED:
                say(harmless(f"{one.kind.lower()}/{one.name}"))
    else:
        colour = has_colour(sys.stdout)
        lines = [line for one in plan.documents for line in _told(one, colour=colour)]
        lines += [painted(harmless(f"deployment {name} would be deleted"), _red(colour)) for name in plan.pruned]
        lines += [] if plan.changes else ["nothing would be done"]
        say("\n".join([*lines, *([""] if placements else []), *placements]))
    if plan.changes:
        raise typer.Exit(ExitCode.CHANGES)


def _red(colour: bool) -> Colour | None:
    return Colour.BAD if colour else None


def _told(one: Planned, *, colour: bool) -> Iterator[str]:
    would = "is as it is declared" if one.change is Change.UNCHANGED else f"would be {one.change}"
    yield harmless(f"{one.kind.lower()} {one.name} {would}")
    for field in one.differences:
        sign, paint, words = _field(field)
        yield painted(harmless(f"  {sign} {field.field}: {words}"), paint if colour else None)
    if one.replicas is not None and (words := _replicas(one.replicas)):
        yield harmless(f"    {words}")


def _field(field: ChangedField) -> tuple[str, Colour, str]:
    if field.before is None:
        return "+", Colour.GOOD, _shown(field.after)
    if field.after is None:
        return "-", Colour.BAD, _shown(field.before)
    return "~", Colour.BUSY, f"{_shown(field.before)} → {_shown(field.after)}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _replicas(planned: PlannedDeployment) -> str:
    parts: tuple[tuple[int, str, list[str]], ...] = (
        (len(planned.created), "would be made", planned.created),
        (planned.changed, "would follow the new template", []),
        (len(planned.removed), "would be deleted", planned.removed),
    )
    told = [f"{count} {words}{f' ({few(names)})' if names else ''}" for count, words, names in parts if count]
    return f"replicas: {', '.join(told)}" if told else ""
