"""The outcome of a verb on containers: a sentence for each, or the containers as data."""

from collections.abc import Sequence

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


def tell(containers: Sequence[Container], output: ResultOutput) -> None:
    """Write the outcome: data is one object for one container, else a list."""
    if output in (ResultOutput.JSON, ResultOutput.YAML):
        documents(containers, output, single=len(containers) == 1)
        return
    for container in containers:
        say(harmless(sentence(container)) if output is ResultOutput.TEXT else container.hostname)
