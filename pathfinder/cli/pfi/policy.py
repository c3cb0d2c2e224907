"""`pfi policy`: how containers are placed."""

import sys
from difflib import unified_diff
from typing import Annotated, Any

import typer

from pathfinder.cli.pfi import policy_file, showing
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.failures import ExitCode
from pathfinder.cli.pfi.listing import Shape
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.policy_file import Written
from pathfinder.cli.pfi.policy_trial import trial
from pathfinder.cli.pfi.replay import replay
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns
from pathfinder.cli.pfi.terminal import Colour, harmless, has_colour, painted, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import few, moment
from pathfinder.client import ApiError, Client
from pathfinder.domain.policies import Change, PolicyDocument
from pathfinder.domain.views import Policy, PolicyVersion

app = group("See, write, try and compare placement policies.")

PolicyName = Annotated[str, typer.Argument(metavar="NAME")]
FileOption = Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON; '-': standard input.")]
DocumentOutput = Annotated[Output, typer.Option("--output", "-o", help="yaml or json: both can be applied.")]

POLICIES: Columns[Policy] = (
    Column("NAME", lambda it: it.name, lambda it: Colour.BAD if it.problem else None),
    Column("VERSION", lambda it: str(it.version)),
    Column("CLUSTERS", lambda it: few(it.clusters)),
    Column("CONTAINERS", lambda it: str(it.containers)),
    Column("DESCRIPTION", lambda it: it.problem or it.description),
)
POLICIES_WIDE: Columns[Policy] = (
    *POLICIES[:-1],
    Column("WRITTEN AT", lambda it: moment(it.created_at) if it.created_at else None),
    Column("BY", lambda it: it.actor or "built in"),
    POLICIES[-1],
)
VERSIONS: Columns[PolicyVersion] = (
    Column("VERSION", lambda it: str(it.version)),
    Column("WRITTEN AT", lambda it: moment(it.created_at) if it.created_at else None),
    Column("BY", lambda it: it.actor or "built in"),
    Column("DESCRIPTION", lambda it: "deleted" if it.deleted else it.description),
)


@app.callback()
def policy() -> None:
    """See, write, try and compare placement policies."""


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the policies there are, and who goes by them; -o wide: and who wrote them."""
    found = run(ctx, _all)
    showing.show(found, Shape(narrow=POLICIES, wide=POLICIES_WIDE, name=lambda it: harmless(it.name)), output)


@app.command(epilog="Example: pfi policy show spread > mine.yaml")
def show(
    ctx: typer.Context,
    name: PolicyName,
    version: Annotated[
        int | None, typer.Option(metavar="N", help="That version; else the latest.", min=0, show_default=False)
    ] = None,
    output: DocumentOutput = Output.YAML,
) -> None:
    """Show a policy as it is written, to read or to change and apply."""
    if output not in (Output.YAML, Output.JSON):
        raise typer.BadParameter("a policy is shown as yaml or json", param_hint="--output")
    found = run(ctx, lambda client: client.policies.get(name, version))
    if output is Output.YAML:
        who = f"by {found.actor}, {moment(found.created_at)}" if found.created_at else "built in"
        say(f"# version {found.version}, {harmless(who)}")
        say(rendered(found.document))
    else:
        import json

        say(json.dumps(found.document, indent=2, ensure_ascii=False))


@app.command()
def versions(ctx: typer.Context, name: PolicyName, output: OutputOption = Output.TABLE) -> None:
    """List the versions of a policy, the latest first, and who wrote them."""
    found = run(ctx, lambda client: client.policies.versions(name))
    shape = Shape(narrow=VERSIONS, wide=VERSIONS, name=lambda it: f"{harmless(name)}@{it.version}")
    showing.show(found, shape, output)


@app.command(epilog="Example: pfi policy apply -f mine.yaml")
def apply(
    ctx: typer.Context,
    file: FileOption,
    expect_version: Annotated[
        int | None,
        typer.Option(metavar="N", help="Refuse unless this is the latest version; 0: unless there is none.", min=0),
    ] = None,
) -> None:
    """Write a policy. The next container is placed by it; what is placed stays where it is."""
    written = policy_file.read(file)
    name = written.document.name
    try:
        made = run(ctx, lambda client: client.policies.apply(name, written.body(), expected=expect_version))
    except ApiError as refusal:
        raise written.refused(refusal) from None
    told = {
        Change.CREATED: f"is created, as version {made.version}",
        Change.CHANGED: f"is changed, and is version {made.version} now",
        Change.UNCHANGED: f"is unchanged, at version {made.version}",
    }
    say(f"policy {made.name} {told[made.change]}")


@app.command(epilog="Examples: pfi policy diff mine -f mine.yaml, or: pfi policy diff mine@1 mine@2")
def diff(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    other: Annotated[str | None, typer.Argument(metavar="NAME[@VERSION]", show_default=False)] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Compare with this; '-': standard input.")
    ] = None,
) -> None:
    """Show what is different in a file or in another policy or version. Exit code 0: the same; 9: they differ."""
    if (other is None) == (file is None):
        raise typer.BadParameter("name either another policy or version, or a file with --file")
    written = policy_file.read(file) if file is not None else None
    lines = run(ctx, lambda client: _diff(client, name, other, written))
    for line in lines:
        colour = {"+": Colour.GOOD, "-": Colour.BAD}.get(line[0]) if has_colour(sys.stdout) else None
        say(painted(harmless(line), colour))
    if lines:
        raise typer.Exit(ExitCode.DIFFERS)


@app.command()
def delete(ctx: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME")]) -> None:
    """Delete policies that no cluster and no container goes by. What was decided by them can still be told."""
    run(ctx, lambda client: _delete(client, names))


app.command("test", epilog="Example: pfi policy test -f mine.yaml --count 20 --cpu 2 --memory 4GiB")(trial)
app.command("replay", epilog="Example: pfi policy replay --since 24h --policy spread --policy binpack --plot out.png")(
    replay
)


async def _all(client: Client) -> list[Policy]:
    return [one async for one in client.policies.list()]


async def _delete(client: Client, names: list[str]) -> None:
    async def forget(name: str) -> None:
        await client.policies.delete(name)
        say(harmless(f"policy {name} is deleted"))

    _, failed = await each(names, forget)
    if failed:
        raise typer.Exit(failed)


async def _diff(client: Client, name: str, other: str | None, written: Written | None) -> list[str]:
    before = await _named(client, name)
    if written is not None:
        title, document = written.file, written.document.model_dump(mode="json")
    else:
        after = await _named(client, other or "")
        title, document = f"{after.name}@{after.version}", after.document
    texts = (rendered(before.document).splitlines(), rendered(document).splitlines())
    return list(unified_diff(*texts, f"{before.name}@{before.version}", title, lineterm=""))


async def _named(client: Client, text: str) -> Policy:
    """`mine`, or `mine@2`, as explanations write it."""
    name, at, version = text.partition("@")
    if at and not version.isdecimal():
        raise typer.BadParameter(f"{text!r} is not of the form NAME or NAME@VERSION, like mine@2")
    return await client.policies.get(name, int(version) if at else None)


def rendered(document: dict[str, Any]) -> str:
    """A document as YAML, always in the same order and with nothing left out."""
    import yaml

    try:
        whole = PolicyDocument.model_validate(document).model_dump(mode="json")
    except ValueError:  # of another version of Pathfinder
        whole = dict(document)
    if isinstance(scorers := whole.get("scorers"), dict):
        whole["scorers"] = dict(sorted(scorers.items()))
    return str(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)).rstrip()
