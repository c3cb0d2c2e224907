"""`pfi update`: change what a cluster or a node is like."""

from typing import Annotated, Any

import typer

from pathfinder.cli.pfi import parsing
from pathfinder.cli.pfi.options import NodeName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client.nodes import NodeChanges

app = group("Change a cluster or a node.")

#: What is written for a limit that is to go.
NONE = "none"


def _amount(noun: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar=noun, help=f"{text}; '{NONE}' removes it.")
    return option


Ratio = Annotated[str | None, _amount("RATIO", "How often it may be promised: 2.0 is twice what there is")]


@app.command(epilog="Example: pfi update cluster default --heartbeat 2s --lease 10s --quota-containers 500")
def cluster(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="How containers are placed: spread, …")] = None,
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="[REMOTE:]ALIAS", help="Image of containers that name none.")
    ] = None,
    heartbeat: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Time between heartbeats of its nodes.")
    ] = None,
    lease: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long a node is READY after a heartbeat.")
    ] = None,
    quota_cpu: Annotated[str | None, _amount("CORES", "The most CPU its containers may ask for together")] = None,
    quota_memory: Annotated[str | None, _amount("SIZE", "The most memory")] = None,
    quota_disk: Annotated[str | None, _amount("SIZE", "The most disk")] = None,
    quota_containers: Annotated[str | None, _amount("N", "The most containers it may have")] = None,
    overcommit_cpu: Ratio = None,
    overcommit_memory: Ratio = None,
    overcommit_disk: Ratio = None,
) -> None:
    """Change a cluster; what is left out stays. Containers stay where they are."""
    beat, lasts = (parsing.duration(text) if text is not None else None for text in (heartbeat, lease))
    quota = _given(cpu=quota_cpu, memory=quota_memory, disk=quota_disk, containers=quota_containers)
    overcommit = _ratios(overcommit_cpu, overcommit_memory, overcommit_disk)
    if (policy, image, beat, lasts, quota, overcommit) == (None, None, None, None, {}, {}):
        raise typer.BadParameter(
            "say what to change: --policy, --image, --heartbeat, --lease, --quota-…, --overcommit-…"
        )
    changed = run(
        ctx,
        lambda client: client.clusters.update(
            name,
            policy=policy,
            default_image=image,
            heartbeat_seconds=beat,
            lease_seconds=lasts,
            quota=quota,
            overcommit=overcommit,
        ),
    )
    say(f"cluster {changed.name} is changed")


@app.command(epilog="Example: pfi update node node-01 --label zone=a --label old- --taint dedicated=db:NoSchedule")
def node(
    ctx: typer.Context,
    name: NodeName,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE|KEY-", help="Set or remove (-) a label; may be repeated."),
    ] = None,
    taint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY[=VALUE]:EFFECT|KEY-",
            help="Set or remove (-) a taint: NoSchedule or PreferNoSchedule; may be repeated.",
        ),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only containers that name its pool go there.")
    ] = None,
    max_containers: Annotated[str | None, _amount("N", "The most containers it may have")] = None,
    max_stateful: Annotated[str | None, _amount("N", "The most stateful ones")] = None,
    overcommit_cpu: Ratio = None,
    overcommit_memory: Ratio = None,
    overcommit_disk: Ratio = None,
) -> None:
    """Change a node; what is left out stays. Containers stay where they are."""
    changes: NodeChanges = {}
    if label:
        removed = {text[:-1]: None for text in label if "=" not in text and text.endswith("-")}
        set_ = parsing.pairs([text for text in label if "=" in text or not text.endswith("-")])
        changes["labels"] = {**removed, **set_}
    if taint:
        changes["taints"] = [text for text in taint if not text.endswith("-")]
        changes["untaint"] = [text[:-1] for text in taint if text.endswith("-")]
    if pool is not None:
        changes["pool"] = pool
    if max_containers is not None:
        changes["max_containers"] = _whole(max_containers)
    if max_stateful is not None:
        changes["max_stateful"] = _whole(max_stateful)
    if overcommit := _ratios(overcommit_cpu, overcommit_memory, overcommit_disk):
        changes["overcommit"] = overcommit
    if not changes:
        raise typer.BadParameter("say what to change: --label, --taint, --pool, --max-…, --overcommit-…")
    changed = run(ctx, lambda client: client.nodes.update(name, **changes))
    say(f"node {changed.hostname} is changed")


def _given(**parts: str | int | None) -> dict[str, Any]:
    """What was written, for the server to read; null for what is to go."""
    return {name: None if part == NONE else part for name, part in parts.items() if part is not None}


def _ratios(cpu: str | None, memory: str | None, disk: str | None) -> dict[str, Any]:
    return _given(cpu=cpu, memory=memory, disk=disk)


def _whole(text: str | None) -> Any:
    """A count as the server reads it; what is no number is the server's to refuse."""
    return int(text) if text is not None and text.isdecimal() else None if text == NONE else text
