"""How an agent says what happened."""

from typing import Any

from pathfinder.broker.publish import Publisher
from pathfinder.domain.messages import Envelope, Exchange, Report, encode
from workers.agent.admission import Admission


class Reporter:
    """Publishes reports over one connection; each returns once the broker has it."""

    def __init__(self, publisher: Publisher, admission: Admission) -> None:
        self._publisher = publisher
        self._admission = admission

    async def about(self, command: Envelope, kind: Report, **body: Any) -> None:
        """Report on the placement a command was about."""
        envelope = Envelope(
            kind=kind,
            cluster=command.cluster,
            subject=command.subject,
            generation=command.generation,
            trace_id=command.trace_id,
            body={"node_id": self._admission.node_id, "hostname": command.body["hostname"], **body},
        )
        await self._publisher.publish(Exchange.REPORTS, kind, encode([envelope]))

    async def about_node(self, kind: Report, body: dict[str, Any], *, persistent: bool) -> None:
        """Report on the node itself."""
        envelope = Envelope(kind=kind, cluster=self._admission.cluster_id, subject=self._admission.node_id, body=body)
        await self._publisher.publish(Exchange.REPORTS, kind, encode([envelope]), persistent=persistent)
