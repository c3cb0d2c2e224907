"""The outcome of a verb on one container: a sentence, or the container as data."""

from pathfinder.cli.pfi.options import ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.terminal import harmless, say
from pathfinder.cli.pfi.words import node_name
from pathfinder.domain.views import Container


def sentence(container: Container) -> str:
    """`container web-01 is PROVISIONED on node-01 at 10.0.0.5`."""
    where = f" on {node_name(container.node, container.simulated)}" if container.node else ""
    address = f" at {container.ipaddress}" if container.ipaddress else ""
    return f"container {container.hostname} is {container.status}{where}{address}"


def tell(container: Container, output: ResultOutput) -> None:
    """Write the outcome."""
    if output is ResultOutput.TEXT:
        say(harmless(sentence(container)))
    elif output is ResultOutput.NAME:
        say(container.hostname)
    else:
        documents([container], output, single=True)
