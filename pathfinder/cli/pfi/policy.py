"""`pfi policy`: how containers are placed."""

from pathfinder.cli.pfi.replay import replay
from pathfinder.cli.pfi.verbs import group

app = group("Compare placement policies.")


@app.callback()
def policy() -> None:
    """Compare placement policies."""


app.command("replay", epilog="Example: pfi policy replay --since 24h --policy spread --policy binpack --plot out.png")(
    replay
)
