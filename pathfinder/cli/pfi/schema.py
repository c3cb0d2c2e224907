"""`pfi schema`: what editors check declared files by."""

import json

from pathfinder.cli.pfi.terminal import say
from pathfinder.cli.pfi.verbs import single
from pathfinder.domain import manifests

app = single()


@app.command(epilog="Example: pfi schema > pathfinder.schema.json")
def schema() -> None:
    """Print the JSON schema of the files that `pfi apply` reads, for editors."""
    say(json.dumps(manifests.schema(), indent=2, ensure_ascii=False))
