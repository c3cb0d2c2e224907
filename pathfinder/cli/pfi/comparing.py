"""What is different between what is there and what a file declares, for kinds that the server does not compare."""

from typing import Any

from pathfinder.client import ApiError, Client
from pathfinder.domain.differences import Difference, differences
from pathfinder.domain.manifests import ClusterDocument
from pathfinder.domain.policies import Change, PolicyDocument
from pathfinder.domain.views import Cluster

Compared = tuple[Change, list[Difference]]


async def policy(client: Client, document: PolicyDocument) -> Compared:
    """What applying a policy would do."""
    wanted = document.model_dump(mode="json")
    try:
        there = (await client.policies.get(document.name)).document
    except ApiError as refusal:
        if refusal.status != 404:
            raise
        return Change.CREATED, differences({}, wanted)
    return _compared(differences(there, wanted))


async def cluster(client: Client, document: ClusterDocument) -> Compared:
    """What applying a cluster would do."""
    try:
        there = await client.clusters.get(document.name)
    except ApiError as refusal:
        if refusal.status != 404:
            raise
        return Change.CREATED, differences({}, _wanted(document, {}))
    before = {name: value for name, value in _there(there).items() if name in document.model_fields_set}
    return _compared(differences(before, _wanted(document, before)))


def _compared(found: list[Difference]) -> Compared:
    return (Change.CHANGED if found else Change.UNCHANGED), found


def _there(cluster: Cluster) -> dict[str, Any]:
    return cluster.model_dump(mode="json", include=set(ClusterDocument.model_fields))


def _wanted(document: ClusterDocument, before: dict[str, Any]) -> dict[str, Any]:
    """The fields that are written, as the server would keep them: null takes a part away, and else changes nothing."""
    plain = document.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"quota", "overcommit"})
    parts = {"quota": document.quota.amounts(), "overcommit": document.overcommit.model_dump(exclude_unset=True)}
    merged = {
        name: {key: value for key, value in {**(before.get(name) or {}), **part}.items() if value is not None}
        for name, part in parts.items()
        if name in document.model_fields_set
    }
    return {**before, **plain, **merged}
