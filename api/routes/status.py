"""The status of the whole Pathfinder."""

from typing import cast

from fastapi import Request

from api.auth import Operator, guarded
from api.errors import documented
from api.overview import Overview
from pathfinder.domain.status import SystemStatus

router = guarded("/status", "health")


@router.get("", responses=documented())
async def status(request: Request, asking: Operator) -> SystemStatus:
    """Everything at a glance: roles, RabbitMQ, PostgreSQL, nodes, containers, and what is wrong.

    Of nodes, containers and problems those of the clusters that whoever asks is for. What cannot be seen just now is
    left empty and named in `findings`; without PostgreSQL the answer is 503.
    """
    return await cast(Overview, request.app.state.overview).status(asking.clusters)
