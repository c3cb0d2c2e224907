"""What a node may do at RabbitMQ: take from its own queue, report of itself, and set aside what it cannot process."""

from pathfinder.domain.messages import NODE_QUEUE, Exchange, Report, report_key

#: RabbitMQ's kinds of resource and of permission, as it asks for them.
QUEUE, EXCHANGE, TOPIC = "queue", "exchange", "topic"
READ, WRITE = "read", "write"


def may_use(hostname: str, kind: str, name: str, permission: str) -> bool:
    """Whether the node may read from, write to or configure a queue or an exchange.

    Not even its own queue may it declare or bind: nobody asks us for which routing keys.
    """
    allowed = {
        (QUEUE, f"{NODE_QUEUE}{hostname}", READ),
        (EXCHANGE, Exchange.REPORTS, WRITE),
        (EXCHANGE, Exchange.DEAD, WRITE),
    }
    return (kind, name, permission) in allowed


def may_send(hostname: str, node_id: object, exchange: str, permission: str, routing_key: str) -> bool:
    """Whether the node may publish to a topic exchange with this routing key."""
    if permission != WRITE:
        return False
    if exchange == Exchange.REPORTS:
        return routing_key in {report_key(kind, str(node_id)) for kind in Report}
    return exchange == Exchange.DEAD and routing_key == f"{NODE_QUEUE}{hostname}"
