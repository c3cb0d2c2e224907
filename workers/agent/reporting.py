"""How an agent says what happened."""

import asyncio
from typing import Any

import structlog

from pathfinder.broker.connection import backoff
from pathfinder.broker.publish import Publisher, QueueFull
from pathfinder.domain.messages import Envelope, Exchange, Report, encode, report_key
from workers.agent.admission import Membership

log = structlog.get_logger()


class Reporter:
    """Publishes reports over one connection; each returns once the broker has it."""

    def __init__(self, publisher: Publisher, membership: Membership) -> None:
        self._publisher = publisher
        self._membership = membership

    async def about(self, command: Envelope, kind: Report, **body: Any) -> None:
        """Report on the placement a command was about."""
        node_id = self._membership.now.node_id
        envelope = Envelope(
            kind=kind,
            cluster=command.cluster,
            subject=command.subject,
            generation=command.generation,
            trace_id=command.trace_id,
            body={"node_id": node_id, "hostname": command.body["hostname"], **body},
        )
        await self._deliver(kind, report_key(kind, node_id), encode([envelope]))

    async def _deliver(self, kind: Report, key: str, body: bytes) -> None:
        """Publish a report; while the recorder's queue is full, keep it and try again.

        The work it tells of stays in hand meanwhile, so the node takes on no more. Progress is not worth that, and the
        inventory tells of health.
        """
        attempt = 0
        while True:
            try:
                return await self._publisher.publish(Exchange.REPORTS, key, body)
            except QueueFull as full:
                if kind in (Report.PROGRESS, Report.HEALTH):
                    return None
                log.warning("report waits", report=kind, reason=str(full))
                await asyncio.sleep(backoff(attempt))
                attempt += 1

    async def about_node(self, kind: Report, body: dict[str, Any], *, persistent: bool) -> None:
        """Report on the node itself."""
        admission = self._membership.now
        envelope = Envelope(kind=kind, cluster=admission.cluster_id, subject=admission.node_id, body=body)
        key = report_key(kind, admission.node_id)
        await self._publisher.publish(Exchange.REPORTS, key, encode([envelope]), persistent=persistent)
