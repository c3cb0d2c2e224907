"""A list that is read whole and shown once."""

import sys
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.table import Table
from pathfinder.cli.pfi.terminal import has_colour, say

View = TypeVar("View", bound=BaseModel)


def show(items: Sequence[View], shape: Shape[View], output: Output) -> None:
    """Write the items as was asked for."""
    if output in (Output.JSON, Output.YAML):
        documents(items, output, single=False)
    elif output is Output.NAME:
        for item in items:
            say(shape.name(item))
    else:
        chosen = shape.wide if output is Output.WIDE else shape.narrow
        say("\n".join(Table(chosen, colour=has_colour(sys.stdout)).render(items)))
