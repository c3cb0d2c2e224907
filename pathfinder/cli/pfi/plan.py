"""`pfi plan`: what would happen, without doing it."""

import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from pathfinder.cli.pfi import create as creating
from pathfinder.cli.pfi import manifests, plan_files
from pathfinder.cli.pfi.failures import ExitCode, Usage
from pathfinder.cli.pfi.manifests import FilesOption, PruneLabels, PruneOption
from pathfinder.cli.pfi.options import NodeNames, Output, OutputOption, SomeNodes
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Column, Columns, Table
from pathfinder.cli.pfi.terminal import Colour, harmless, has_colour, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.cli.pfi.words import node_name
from pathfinder.client import Client
from pathfinder.domain.views import Displaced, Filling, Plan, Planned

HELP = "Tell what would happen, without doing it. Exit code 0: all would fit; 8: some would wait."

app = group(HELP)

#: The least digits of a number at the end of a name.
DIGITS = 2

#: So many placements are shown one by one without being asked for.
SHORT = 20

SeedOption = Annotated[int, typer.Option(metavar="N", help="What ties are broken by.", min=0)]
Names = Annotated[list[str], typer.Argument(metavar="NAME…", help="Hostnames of the new containers.")]


@app.callback(invoke_without_command=True, epilog="Example: pfi plan -f web.yaml", help=HELP)
def files(
    ctx: typer.Context,
    file: FilesOption = None,
    prune: PruneOption = False,
    label: PruneLabels = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell what would happen; with --file what applying files would do: exit code 0 nothing, 1 refused, 2 changes."""
    if ctx.invoked_subcommand is not None:
        if file:
            raise Usage(f"--file and {ctx.invoked_subcommand} do not go together; give one or the other")
        return
    labels = manifests.pruned(prune, label)
    found = manifests.read(file)
    plan = run(ctx, lambda client: plan_files.make(client, found, labels))
    there = plan.placements
    lines = _told(there, wide=output is Output.WIDE, colour=has_colour(sys.stdout)) if there else []
    plan_files.tell(plan, output, lines)


def _tables(plan: Plan, *, wide: bool) -> Sequence[tuple[Columns[Any], Sequence[Any]]]:
    """The tables, what should worry somebody first, each with its rows; `wide`: all of them."""

    def name(hostname: str | None) -> str | None:
        return node_name(hostname, hostname in plan.simulated)

    waiting: Columns[Planned] = (
        Column("WOULD WAIT", lambda it: it.hostname, lambda _: Colour.BAD),
        Column("ON", lambda it: name(it.source)),
        Column("WHY", lambda it: it.reason),
    )
    displaced: Columns[Displaced] = (
        Column("WOULD GIVE WAY", lambda it: it.hostname, lambda _: Colour.BAD),
        Column("ON", lambda it: name(it.node)),
        Column("FOR", lambda it: it.by),
    )
    placed: Columns[Planned] = (
        Column("CONTAINER", lambda it: it.hostname),
        Column("FROM", lambda it: name(it.source)),
        Column("TO", lambda it: name(it.node)),
    )
    filling: Columns[Filling] = (
        Column("NODE", lambda it: name(it.hostname)),
        Column("CPU", lambda it: f"{it.cpu_before:.0%} → {it.cpu_after:.0%}"),
        Column("MEMORY", lambda it: f"{it.memory_before:.0%} → {it.memory_after:.0%}"),
        Column("CONTAINERS", lambda it: f"{it.containers_before} → {it.containers_after}"),
    )
    return (
        (waiting, [*plan.waiting, *(plan.staying if wide else ())]),
        (displaced, plan.preempted),
        (placed, plan.placed if wide or len(plan.placed) <= SHORT else ()),
        (filling, plan.nodes),
    )


def _create(
    ctx: typer.Context, names: list[str], count: int, together: bool, seed: int, output: Output, **options: Any
) -> None:
    """Tell where new containers would go, which would wait, and who would give way."""
    wishes = creating.wishes_of(**options)
    wanted = [{"hostname": name, **wishes} for name in numbered(names, count)]
    _tell(ctx, lambda client: client.plans.create(wanted, seed=seed, together=together), output)


def _with_options_of_create(command: Callable[..., None]) -> Callable[..., None]:
    """The same options as `pfi create container` has for what is asked for: written once, there."""
    theirs = inspect.signature(creating.container).parameters
    asked = [theirs[name].replace(kind=inspect.Parameter.KEYWORD_ONLY) for name in _asked_for()]
    own = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        inspect.Parameter("names", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Names),
        inspect.Parameter(
            "count",
            inspect.Parameter.KEYWORD_ONLY,
            default=1,
            annotation=Annotated[int, typer.Option(metavar="N", help="So many of each: NAME-01, NAME-02, …", min=1)],
        ),
        theirs["together"].replace(kind=inspect.Parameter.KEYWORD_ONLY),
        inspect.Parameter("seed", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=SeedOption),
        inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=Output.TABLE, annotation=OutputOption),
    ]
    command.__signature__ = inspect.Signature([*own, *asked])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in (*own, *asked)}
    return command


def _asked_for() -> Sequence[str]:
    return list(inspect.signature(creating.wishes_of).parameters)


app.command("create", epilog="Example: pfi plan create web --count 20 --cpu 2 --label app=web --spread app=web@zone")(
    _with_options_of_create(_create)
)

lose = group("Tell what would happen if nodes died.")
app.add_typer(lose, name="lose")
drain = group("Tell what would happen if nodes were emptied.")
app.add_typer(drain, name="drain")


@lose.callback()
def _lose() -> None:
    """Tell what would happen if nodes died."""


@lose.command("node", epilog="Example: pfi plan lose node node-01 node-02, or: pfi plan lose node --zone a")
def lose_node(
    ctx: typer.Context,
    names: SomeNodes = None,
    zone: Annotated[str | None, typer.Option(metavar="NAME", help="All nodes of this zone, instead.")] = None,
    seed: SeedOption = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell where containers would go if these nodes died at once."""
    if (zone is None) == (not names):
        raise typer.BadParameter("name either nodes, or a zone with --zone")
    _tell(ctx, lambda client: client.plans.lose(names or (), zone=zone, seed=seed), output)


@drain.callback()
def _drain() -> None:
    """Tell what would happen if nodes were emptied."""


@drain.command("node")
def drain_node(
    ctx: typer.Context,
    names: NodeNames,
    seed: SeedOption = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell where containers would go if these nodes were cordoned and emptied."""
    _tell(ctx, lambda client: client.plans.drain(names, seed=seed), output)


def numbered(names: Sequence[str], count: int) -> list[str]:
    """The names, each with the numbers up to `count` at its end if there are to be several."""
    if count == 1:
        return list(names)
    width = max(DIGITS, len(str(count)))
    return [f"{name}-{number:0{width}d}" for name in names for number in range(1, count + 1)]


def _tell(ctx: typer.Context, ask: Callable[[Client], Awaitable[Plan]], output: Output) -> None:
    show(run(ctx, ask), output)


def show(plan: Plan, output: Output, above: Sequence[str] = (), below: Sequence[str] = ()) -> None:
    """Tell a plan, for people between these lines; the exit code says whether all would fit."""
    if output in (Output.JSON, Output.YAML):
        documents([plan], output, single=True)
    elif output is Output.NAME:
        for one in plan.waiting:
            say(harmless(one.hostname))
    else:
        lines = _told(plan, wide=output is Output.WIDE, colour=has_colour(sys.stdout))
        say("\n".join([*above, *lines, *below]))
    if not plan.fits:
        raise typer.Exit(ExitCode.WOULD_WAIT)


def _told(plan: Plan, *, wide: bool, colour: bool) -> list[str]:
    """A sentence, then what should worry somebody, then where the others would go; `wide`: each of them."""
    total = len(plan.placed) + len(plan.waiting)
    words = "all would have a node" if plan.fits else f"{len(plan.waiting)} of {total} would wait"
    lines = [f"{total} container{'' if total == 1 else 's'}: {words}; nothing was done"]
    if plan.staying:
        lines.append(f"{len(plan.staying)} stateful would stay, and wait for their own node in any case")
    for columns, rows in _tables(plan, wide=wide):
        if rows:
            shown = [one for one in columns if any(one.text(row) for row in rows)]
            lines += ["", *Table(shown, colour=colour).render(rows)]
    if len(plan.placed) > SHORT and not wide:
        lines += ["", f"-o wide shows where each of the {len(plan.placed)} would go"]
    return lines
