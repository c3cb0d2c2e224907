"""`pfi cluster`: the same as `pfi create cluster`, where one looks for it beside users and tokens."""

from pathfinder.cli.pfi.create import cluster
from pathfinder.cli.pfi.verbs import group

app = group("Make a cluster.")


@app.callback()
def _group() -> None:
    """Make a cluster."""


app.command("create")(cluster)
