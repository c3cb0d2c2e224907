"""`pfi policy test`: what a policy would do, before it is written."""

from typing import Annotated, Any

import typer

from pathfinder.cli.pfi import plan as planning
from pathfinder.cli.pfi import policy_file
from pathfinder.cli.pfi.explain import REJECTIONS, candidate_columns
from pathfinder.cli.pfi.options import Output, OutputOption
from pathfinder.cli.pfi.policy_file import Written
from pathfinder.cli.pfi.session import run
from pathfinder.cli.pfi.table import Table
from pathfinder.cli.pfi.terminal import harmless
from pathfinder.client import ApiError, Client
from pathfinder.domain.views import Plan, Planned, Policy

SAMPLE = "policy-test"


def trial(
    ctx: typer.Context,
    file: Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON; '-': standard input.")],
    count: Annotated[int, typer.Option(metavar="N", help="How many containers are tried.", min=1)] = 10,
    cpu: Annotated[str, typer.Option(metavar="CORES", help="What each asks for.")] = "1",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What each asks for.")] = "1GiB",
    disk: Annotated[str | None, typer.Option(metavar="SIZE", help="What each asks for.")] = None,
    image: Annotated[
        str | None, typer.Option("--image", "-i", metavar="[REMOTE:]ALIAS", help="Image; else the cluster's default.")
    ] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="How urgent each is: -1000 to 1000.")] = 0,
    seed: planning.SeedOption = 0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a policy, and tell where containers would go by it on the fleet as it is. Nothing is written.

    Exit code 0: it can be used and all would have a node; 1: it cannot be used; 8: some would wait.
    """
    written = policy_file.read(file)
    asked = {"cpu": cpu, "memory": memory, "disk": disk, "image": image, "priority": priority}
    wishes = {name: value for name, value in asked.items() if value is not None}
    wanted = [{"hostname": name, **wishes} for name in planning.numbered([SAMPLE], count)]
    try:
        there, plan = run(ctx, lambda client: _tried(client, written, wanted, seed))
    except ApiError as refusal:
        if all(str(one.get("field", "")).startswith("document.") for one in refusal.problem.errors):
            raise written.refused(refusal) from None
        raise
    planning.show(plan, output, [harmless(_standing(there, written))], _why(plan, written))


async def _tried(
    client: Client, written: Written, wanted: list[dict[str, Any]], seed: int
) -> tuple[Policy | None, Plan]:
    plan = await client.plans.create(wanted, seed=seed, document=written.body(), explain=True)
    try:
        return await client.policies.get(written.document.name), plan
    except ApiError as refusal:
        if refusal.status != 404:
            raise
        return None, plan


def _standing(there: Policy | None, written: Written) -> str:
    name = written.document.name
    if there is None:
        return f"policy {name} can be used, and is not there yet"
    if there.document == written.document.model_dump(mode="json"):
        return f"policy {name} can be used, and is the same as version {there.version}"
    if there.built_in:
        return f"policy {name} can be used, but not under that name, which is a built-in policy's"
    return f"policy {name} can be used, and differs from version {there.version} (`pfi policy diff`)"


def _why(plan: Plan, written: Written) -> list[str]:
    """The best nodes of the first that has one, and what was rejected for the first that waits, or for that one."""
    lines = [harmless(f"left out: {one}") for one in plan.skipped]
    placed: Planned | None = next(iter(plan.placed), None)
    weights = {**written.document.scorers, "wishes": written.document.wishes}
    if placed is not None and placed.candidates:
        table = Table(candidate_columns(placed.candidates, weights, plan.simulated))
        lines += ["", harmless(f"the best nodes for {placed.hostname}"), *table.render(placed.candidates)]
    about = next(iter(plan.waiting), placed)
    if about is not None and about.rejections:
        lines += ["", harmless(f"rejected for {about.hostname}"), *Table(REJECTIONS).render(about.rejections)]
    return lines
