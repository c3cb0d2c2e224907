"""Whether there is room for what waits."""

from chaos.evidence import Container, Evidence

#: Statuses in which a container's claim on its node stands; written again here, on purpose.
CLAIMING = frozenset(
    {
        *("SCHEDULED", "PROVISIONED", "BOOTSTRAP_STARTED", "BOOTSTRAPPED", "BOOTSTRAP_ERROR"),
        *("SCHEDULE_DELETION", "SCHEDULE_RELOCATION", "RELOCATE_STARTED", "RELOCATE_ERROR", "LOST"),
    }
)


def has_room(evidence: Evidence, row: Container) -> bool:
    """Whether a node could take it."""
    wanted = row.size._replace(containers=0)
    company = [one for one in evidence.containers if one.apart == row.apart and one.status in CLAIMING]
    shunned = {one.node for one in company} if row.apart else set()
    return any(
        node.status == "READY"
        and node.schedulable
        and node.hostname not in shunned
        and all(
            claimed + more <= most
            for claimed, more, most in zip(node.claimed[:3], wanted[:3], node.capacity[:3], strict=True)
        )
        for node in evidence.nodes
    )
