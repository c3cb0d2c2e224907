"""Which tables may grow with what happens, and what keeps them from growing for ever."""

from pathfinder.settings import Settings
from pathfinder.store import pruning
from pathfinder.store.tables import metadata

#: What bounds the tables that nothing is pruned from.
BOUNDED = {
    "clusters": "by who makes them",
    "nodes": "by the machines there are; one that is gone for good is deleted by an operator",
    "leases": "one for each node, and it goes with it",
    "departures": "one for each former placement, until its node reports it gone or is deleted",
    "outbox": "until RabbitMQ has it; creates are refused beyond a bound",
    "policies": "a version for each change by an operator",
    "users": "by who makes them",
    "joins": "one for each machine that a join token admitted, and they go with it",
    "secrets": "by who makes them",
    "deployments": "by who declares them",
    "revisions": "the newest of each deployment, and those that a replica is of",
    "touches": "one for each replica that changed, until its deployment is looked at",
    "bootstraps": "the last runs of each container, and they go with it",
    "webhooks": "by who makes them",
    "deliveries": "two at most for each problem and webhook, and they go with them",
}


def test_every_table_is_pruned_or_bounded_by_something_else() -> None:
    """A new table belongs to the one or the other."""
    pruned = {name.partition(" ")[0] for name in pruning.steps(Settings(keep_events_days=1))}

    assert pruned.isdisjoint(BOUNDED)
    assert pruned | BOUNDED.keys() == set(metadata.tables)
