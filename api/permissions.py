"""Who may use which route: the one table, as `docs/reference/permissions.md` shows it. `api/auth.py` enforces it.

A route that stands in no row is for admins of all clusters only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pathfinder.domain.access import Role


class Reach(StrEnum):
    """Which clusters somebody must be for; whoever is for all is for each."""

    CLUSTER = "that of `?cluster=`"
    PATH = "that of the path"
    OWN = "any; only theirs are shown"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Need:
    """What a route wants of whoever asks; no role: only to be known."""

    role: Role | None
    reach: Reach = Reach.CLUSTER


_KNOWN = Need(None, Reach.OWN)
_VIEW, _VIEW_OWN, _VIEW_ALL = (Need(Role.VIEWER, reach) for reach in (Reach.CLUSTER, Reach.OWN, Reach.ALL))
_OPERATE, _OPERATE_ALL = (Need(Role.OPERATOR, reach) for reach in (Reach.CLUSTER, Reach.ALL))
_ADMIN_ALL = Need(Role.ADMIN, Reach.ALL)

UNLISTED = _ADMIN_ALL

#: By path, in the order of the documents; then by method.
PERMISSIONS: Mapping[str, Mapping[str, Need]] = {
    "/containers": {"GET": _VIEW, "POST": _OPERATE},
    "/containers/batch": {"POST": _OPERATE},
    "/containers/{hostname}": {"GET": _VIEW, "DELETE": _OPERATE},
    "/containers/{hostname}/reschedule": {"POST": _OPERATE},
    "/containers/{hostname}/rebootstrap": {"POST": _OPERATE},
    "/containers/{hostname}/bootstraps": {"GET": _VIEW},
    "/containers/{hostname}/explain": {"GET": _VIEW},
    "/containers/{hostname}/attempts": {"GET": _VIEW},
    "/containers/{hostname}/usage": {"GET": _VIEW},
    "/containers/{hostname}/usage/stream": {"GET": _VIEW},
    "/deployments": {"GET": _VIEW},
    "/deployments/batch": {"POST": _OPERATE},
    "/deployments/plan": {"POST": _VIEW},
    "/deployments/{name}": {"GET": _VIEW, "PUT": _OPERATE, "DELETE": _OPERATE},
    "/deployments/{name}/revisions": {"GET": _VIEW},
    "/deployments/{name}/autoscaling": {"GET": _VIEW},
    "/deployments/{name}/recommendation": {"GET": _VIEW},
    "/deployments/{name}/scale": {"POST": _OPERATE},
    "/deployments/{name}/rollout/{action}": {"POST": _OPERATE},
    "/plans/create": {"POST": _VIEW},
    "/plans/lose": {"POST": _VIEW},
    "/plans/drain": {"POST": _VIEW},
    "/policies": {"GET": _VIEW_OWN},
    "/policies/{name}": {"GET": _VIEW_OWN, "PUT": _OPERATE_ALL, "DELETE": _OPERATE_ALL},
    "/policies/{name}/versions": {"GET": _VIEW_OWN},
    "/replays": {"POST": _VIEW},
    "/nodes": {"GET": _VIEW},
    "/nodes/{hostname}": {"GET": _VIEW, "PATCH": _OPERATE, "DELETE": _OPERATE},
    "/nodes/{hostname}/usage": {"GET": _VIEW},
    "/nodes/{hostname}/usage/stream": {"GET": _VIEW},
    "/nodes/{hostname}/cordon": {"POST": _OPERATE},
    "/nodes/{hostname}/uncordon": {"POST": _OPERATE},
    "/nodes/register": {"POST": Need(Role.JOIN)},
    "/nodes/credential": {"PUT": Need(Role.NODE, Reach.OWN)},
    "/nodes/secrets/{container_id}": {"GET": Need(Role.NODE, Reach.OWN)},
    "/nodes/heartbeat": {"POST": Need(Role.NODE, Reach.OWN)},
    "/clusters": {"GET": _VIEW_OWN, "POST": _OPERATE_ALL},
    "/clusters/{name}": {"GET": Need(Role.VIEWER, Reach.PATH), "PATCH": _OPERATE_ALL},
    "/webhooks": {"GET": _OPERATE_ALL, "POST": _OPERATE_ALL},
    "/webhooks/{name}": {"GET": _OPERATE_ALL, "DELETE": _OPERATE_ALL},
    "/webhooks/{name}/test": {"POST": _OPERATE_ALL},
    "/problems": {"GET": _VIEW_OWN},
    "/resilience": {"GET": _VIEW},
    "/events": {"GET": _VIEW_OWN},
    "/events/stream": {"GET": _VIEW_OWN},
    "/dead": {"GET": _VIEW_ALL, "DELETE": _OPERATE_ALL},
    "/dead/{id}": {"GET": _VIEW_ALL, "DELETE": _OPERATE_ALL},
    "/dead/{id}/replay": {"POST": _OPERATE_ALL},
    "/dead/replay": {"POST": _OPERATE_ALL},
    "/status": {"GET": _VIEW_OWN},
    "/secrets": {"GET": _VIEW},
    "/secrets/{name}": {"PUT": _OPERATE, "DELETE": _OPERATE},
    "/session": {"GET": _KNOWN, "DELETE": _KNOWN},
    "/sessions": {"GET": _VIEW_OWN},
    "/sessions/{id}": {"DELETE": _VIEW_OWN},
    "/users": {"GET": _ADMIN_ALL, "POST": _ADMIN_ALL},
    "/users/{name}": {"DELETE": _ADMIN_ALL},
    "/users/{name}/password": {"PUT": _VIEW_OWN},
    "/tokens": {"GET": _VIEW_OWN, "POST": _VIEW_OWN},
    "/tokens/{id}": {"DELETE": _VIEW_OWN},
}


def need(method: str, path: str) -> Need:
    """What the route wants that has this path, without the API's prefix."""
    return PERMISSIONS.get(path, {}).get(method, UNLISTED)
