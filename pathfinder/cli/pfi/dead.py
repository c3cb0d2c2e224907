"""`pfi dead`: messages nobody could process."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from pathfinder.cli.pfi import listing, showing, words
from pathfinder.cli.pfi.each import each
from pathfinder.cli.pfi.failures import Failed, Usage
from pathfinder.cli.pfi.options import Output, OutputOption, ResultOption, ResultOutput
from pathfinder.cli.pfi.output import documents
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import MISSING
from pathfinder.cli.pfi.terminal import harmless, note, say
from pathfinder.cli.pfi.verbs import group
from pathfinder.client import Client
from pathfinder.domain.views import DeadLetter, DeadMessage

app = group("List, show, replay or drop messages that nobody could process.")

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", min=1, show_default=False)]
QueueOption = Annotated[
    str | None, typer.Option("--queue", "-q", metavar="NAME", help="Only those that failed in this queue.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them; of one queue with --queue.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command(name="list")
def list_(
    ctx: typer.Context,
    output: OutputOption = Output.TABLE,
    queue: QueueOption = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Most that are listed.")] = 100,
) -> None:
    """List dead letters, newest first."""
    run(ctx, lambda client: _list(client, output, queue, limit))


@app.command()
def show(
    ctx: typer.Context,
    id_: Annotated[int, typer.Argument(metavar="ID", min=1)],
    output: ResultOption = ResultOutput.TEXT,
) -> None:
    """Show a dead letter, whole."""
    run(ctx, lambda client: _show(client, id_, output))


@app.command()
def replay(
    ctx: typer.Context, ids: Ids = None, every: AllOption = False, queue: QueueOption = None, yes: YesOption = False
) -> None:
    """Put dead letters back to where they were published first, once what made them fail is mended."""
    _check(ids, every, queue)
    if every:
        _confirm(f"Replay all dead letters{_of(queue)}?", yes)
    run(ctx, lambda client: _replay(client, ids or [], every, queue))


@app.command()
def drop(
    ctx: typer.Context, ids: Ids = None, every: AllOption = False, queue: QueueOption = None, yes: YesOption = False
) -> None:
    """Forget dead letters for good."""
    _check(ids, every, queue)
    if every:
        _confirm(f"Drop all dead letters{_of(queue)} for good?", yes)
    run(ctx, lambda client: _drop(client, ids or [], every, queue))


async def _list(client: Client, output: Output, queue: str | None, limit: int) -> None:
    items: list[DeadLetter] = []
    more = False
    async for item in client.dead.list(queue=queue):
        if more := len(items) == limit:
            break
        items.append(item)
    showing.show(items, listing.DEAD_LETTERS, output)
    if not items:
        note(f"no dead letters{_of(queue)}")
    if more:
        note(f"there are more than {limit}; --limit lists them")


async def _show(client: Client, id_: int, output: ResultOutput) -> None:
    found = await client.dead.get(id_)
    if output is ResultOutput.NAME:
        say(str(found.id))
    elif output is not ResultOutput.TEXT:
        documents([found], output, single=True)
    else:
        say("\n".join(_lines(found)))


def _lines(it: DeadMessage) -> list[str]:
    fields = (
        ("Id", str(it.id)),
        ("Failed at", f"{words.moment(it.at)}, {words.age(it.at)} ago"),
        ("Queue", it.queue),
        ("Reason", it.reason),
        ("Deliveries", str(it.deliveries)),
        ("Kinds", ", ".join(it.kinds)),
        ("Subjects", ", ".join(it.subjects)),
        ("Exchange", it.exchange),
        ("Routing key", it.routing_key),
        ("Replayable", "yes" if it.replayable else "no: nobody could ever read it"),
    )
    body = json.dumps(it.envelopes, indent=2, ensure_ascii=False) if it.envelopes is not None else it.text or ""
    shown = [f"  {harmless(line)}" for line in body.splitlines()]
    return [*(f"{name + ':':<13}{harmless(value or MISSING)}" for name, value in fields), "", "Message:", *shown]


async def _replay(client: Client, ids: Sequence[int], every: bool, queue: str | None) -> None:
    if every:
        done = await client.dead.replay_all(queue=queue)
        say(f"{_count(done.replayed)} replayed")
        if done.kept:
            raise Failed(
                f"{_count(done.kept)} kept: nobody could ever read them",
                "see which with: pfi dead list",
                "forget one with: pfi dead drop ID",
            )
        return

    async def one(name: str) -> None:
        await client.dead.replay(int(name))
        say(f"dead letter {name} is replayed")

    await _each(ids, one)


async def _drop(client: Client, ids: Sequence[int], every: bool, queue: str | None) -> None:
    if every:
        say(f"{_count((await client.dead.drop_all(queue=queue)).dropped)} dropped")
        return

    async def one(name: str) -> None:
        await client.dead.drop(int(name))
        say(f"dead letter {name} is dropped")

    await _each(ids, one)


async def _each(ids: Sequence[int], act: Callable[[str], Awaitable[None]]) -> None:
    _, failed = await each([str(id_) for id_ in ids], act)
    if failed:
        raise typer.Exit(failed)


def _check(ids: Sequence[int] | None, every: bool, queue: str | None) -> None:
    if bool(ids) == every:
        raise Usage("say which: an ID or several, or --all")
    if ids and queue:
        raise Usage("--queue goes with --all; an ID names one dead letter already")


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("nobody is there to be asked; add --yes")
    typer.confirm(question, abort=True, err=True)


def _of(queue: str | None) -> str:
    return f" of queue {queue}" if queue else ""


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"
