"""`pfi edit`: change what is declared, in an editor."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from pathfinder.cli.pfi import manifests
from pathfinder.cli.pfi.apply import sentence
from pathfinder.cli.pfi.failures import Failed
from pathfinder.cli.pfi.manifests import Manifest
from pathfinder.cli.pfi.options import DeploymentName
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.terminal import harmless, note, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import ApiError
from pathfinder.domain.deployment_views import AppliedDeployment, Deployment

app = group("Change what is declared, in an editor.")


@app.callback()
def edit() -> None:
    """Change what is declared, in an editor."""


@app.command(epilog="The editor is $VISUAL, or $EDITOR, or vi.")
def deployment(ctx: typer.Context, name: DeploymentName) -> None:
    """Open a deployment in an editor, and apply what is saved, unless somebody else changed it meanwhile."""
    there = run(ctx, lambda client: client.deployments.get(name))
    text = _text(there)
    file = _file(text)
    _open(file)
    if file.read_text(encoding="utf-8") == text:
        file.unlink()
        say(harmless(f"deployment {name} is unchanged"))
        return
    try:
        applied = _apply(ctx, _one(file, name), there.version)
    except Exception:
        note(f"what you wrote is kept in {file}")
        raise
    file.unlink()
    say(harmless(sentence(applied)))


def _apply(ctx: typer.Context, manifest: Manifest, version: int) -> AppliedDeployment:
    try:
        return run(
            ctx,
            lambda client: client.deployments.apply(manifest.name, manifest.body, expected=version, cause="edit"),
        )
    except ApiError as refusal:
        raise manifests.refused(refusal, [manifest]) from None


def _text(there: Deployment) -> str:
    import yaml

    document = {"kind": "Deployment", **{key: value for key, value in there.document.items() if value is not None}}
    head = f"# {there.name}, version {there.version}. Save and close to apply; change nothing to leave it as it is.\n"
    return head + str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _file(text: str) -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="pfi-", suffix=".yaml", delete=False, encoding="utf-8") as file:
        file.write(text)
    return Path(file.name)


def _open(file: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor is None and not sys.stdin.isatty():
        file.unlink()
        raise Failed("there is no terminal to edit on", "set $EDITOR to what edits by itself, or use pfi apply -f")
    editor = editor or "vi"
    try:
        subprocess.run([*shlex.split(editor), str(file)], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        file.unlink()
        raise Failed(f"the editor {editor!r} did not work: {error}", "set another one in $EDITOR") from error


def _one(file: Path, name: str) -> Manifest:
    found = manifests.read([str(file)])
    if [(one.kind, one.name) for one in found] != [("Deployment", name)]:
        raise Failed(f"it is not the one deployment {name} any more; make others with: pfi apply -f")
    return found[0]
