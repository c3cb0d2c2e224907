"""Names and addresses of simulated nodes."""


def node_name(number: int) -> str:
    """`node-007`."""
    return f"node-{number:03d}"


def node_address(number: int) -> str:
    """An address that no other node has; nobody listens there."""
    return f"127.90.{number // 250}.{number % 250 + 1}"
