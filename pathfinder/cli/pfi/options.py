"""Options and arguments that several verbs share."""

from enum import StrEnum
from typing import Annotated

import typer

from pathfinder.cli.pfi import completion


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class ResultOutput(StrEnum):
    """How one result is written; text is for people."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to write the result.")]
ResultOption = Annotated[ResultOutput, typer.Option("--output", "-o", help="How to write the result.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every change as it happens.")]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Only with this label; may be repeated.")
]
PrefixOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Only names that start with TEXT.")]
NodeOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only on this node.", autocompletion=completion.nodes)
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until it is done, and show how it goes.")]
TimeoutOption = Annotated[
    str, typer.Option(metavar="DURATION", help="How long --wait waits (90s, 10m, 1h30m); exit code 4 after it.")
]

ContainerName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.containers)]
ContainerNames = Annotated[list[str], typer.Argument(metavar="NAME", autocompletion=completion.containers)]
SomeContainers = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", autocompletion=completion.containers, show_default=False)
]
DeploymentName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.deployments)]
DeploymentNames = Annotated[list[str], typer.Argument(metavar="NAME", autocompletion=completion.deployments)]
SomeDeployments = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", autocompletion=completion.deployments, show_default=False)
]
NodeName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=completion.nodes)]
NodeNames = Annotated[list[str], typer.Argument(metavar="NAME", autocompletion=completion.nodes)]
SomeNodes = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", autocompletion=completion.nodes, show_default=False)
]

WebhookName = Annotated[str, typer.Argument(metavar="NAME")]

KindOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND", help="Only this kind (container.deleted), or all of a noun (container); may be repeated."
    ),
]
EventContainerOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only about this container.", autocompletion=completion.containers)
]
EventNodeOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only about or on this node.", autocompletion=completion.nodes)
]
