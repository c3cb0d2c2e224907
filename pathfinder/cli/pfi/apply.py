"""`pfi apply`: have things be as files declare them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import typer

from pathfinder.cli.pfi import comparing, manifests
from pathfinder.cli.pfi.manifests import FilesOption, Manifest, PruneLabels, PruneOption, of_kind
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.verbs import single
from pathfinder.client import ApiError, Client
from pathfinder.domain.deployment_views import AppliedDeployment
from pathfinder.domain.manifests import ClusterDocument
from pathfinder.domain.policies import Change

app = single()


@app.command(epilog="Examples: pfi apply -f web.yaml, or: pfi apply -f fleet/ --prune --label team=web")
def apply(
    ctx: typer.Context,
    file: FilesOption = None,
    prune: PruneOption = False,
    label: PruneLabels = None,
    cause: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the history of revisions.")] = "",
) -> None:
    """Make or change what files declare: deployments, policies, clusters. Doing so again changes nothing.

    All documents are checked before any is sent; deployments are applied all or none.
    """
    labels = manifests.pruned(prune, label)
    found = manifests.read(file)
    run(ctx, lambda client: apply_files(client, found, labels, cause))


async def apply_files(client: Client, found: Sequence[Manifest], prune: Mapping[str, str] | None, cause: str) -> None:
    """Apply what files declare, and say of each what was done."""
    for one in of_kind(found, "Policy"):
        say(harmless(await _policy(client, one)))
    for one in of_kind(found, "Cluster"):
        say(harmless(await _cluster(client, one)))
    wanted = of_kind(found, "Deployment")
    if not wanted and prune is None:
        return
    try:
        done = await client.deployments.apply_all([one.body for one in wanted], prune=prune, cause=cause)
    except ApiError as refusal:
        raise manifests.refused(refusal, wanted) from None
    for applied in done.applied:
        say(harmless(sentence(applied)))
    for name in done.pruned:
        say(harmless(f"deployment {name} is being deleted"))


def sentence(applied: AppliedDeployment) -> str:
    """`deployment web is changed: revision 3, 5 replicas`."""
    replicas = f"{applied.replicas} replica{'' if applied.replicas == 1 else 's'}"
    return f"deployment {applied.name} is {applied.change}: revision {applied.revision}, {replicas}"


async def _policy(client: Client, manifest: Manifest) -> str:
    try:
        made = await client.policies.apply(manifest.name, manifest.body)
    except ApiError as refusal:
        raise manifests.refused(refusal, [manifest]) from None
    return f"policy {made.name} is {made.change}: version {made.version}"


async def _cluster(client: Client, manifest: Manifest) -> str:
    patch = {key: value for key, value in manifest.body.items() if key != "name"}
    try:
        change, _ = await comparing.cluster(client, cast(ClusterDocument, manifest.model))
        if change is Change.CREATED:
            first = {key: patch.pop(key) for key in ("policy", "default_image") if patch.get(key)}
            await client.clusters.create(manifest.name, **first)
        if patch and change is not Change.UNCHANGED:
            await client.clusters.update(manifest.name, **patch)
    except ApiError as refusal:
        raise manifests.refused(refusal, [manifest]) from None
    return f"cluster {manifest.name} is {change}"
