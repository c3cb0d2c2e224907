"""`pathfinder lab`: several real LXD nodes on this machine, and faults to order."""

from typing import Annotated

import typer

from pathfinder.cli.operator.configuration import settings
from pathfinder.cli.operator.profile import command, forget_profile, save_profile
from pathfinder.cli.operator.progress import Screen
from pathfinder.cli.operator.status import NOTHING, show
from pathfinder.embedded.lab import Lab, lxc_command

PROFILE = "lab"
Node = Annotated[str, typer.Argument(help="As in `pathfinder lab status`, such as node-02.")]

group = typer.Typer(no_args_is_help=True, help="A lab: several real LXD nodes on this machine, and faults to order.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="lab")


@group.command()
def up(
    nodes: Annotated[int, typer.Option(min=1, max=20, help="How many.")] = 3,
    ha: Annotated[
        bool, typer.Option("--ha", help="Two of each role, three RabbitMQ nodes, a database standby.")
    ] = False,
) -> None:
    """Start the lab, with its own control plane, and a profile `lab` for pfi."""
    settings()  # one that cannot be is told before anything is started
    screen, lab = Screen(), Lab()
    lab.up(nodes, screen, ha=ha)
    values = {"server": lab.api_url, "cluster": "default", "token": lab.token}
    profile = save_profile(lab.home, PROFILE, values, use=False)
    screen.console.print(f"The lab is up. Try: {command(profile)} get nodes")


@group.command()
def down() -> None:
    """Remove the lab: no process, namespace, mount, bridge or file is left."""
    lab = Lab()
    lab.down(Screen())
    forget_profile(lab.home)


@group.command()
def status() -> None:
    """Show the lab's services, and those on each node. Exit status 0 if all run, else 1."""
    show(Lab().status(), NOTHING.format("pathfinder lab up"))


@group.command()
def kill(node: Node) -> None:
    """A machine dies: every process on it is gone at once, its disk stays."""
    Lab().kill(node)


@group.command("kill-broker")
def kill_broker(number: Annotated[int, typer.Argument(min=1, max=3, help="Which RabbitMQ node.")] = 1) -> None:
    """A RabbitMQ node dies (`kill -9`) and is started again."""
    Lab().kill_broker(number)


@group.command("kill-primary")
def kill_primary() -> None:
    """The primary database of an --ha lab dies, for good."""
    Lab().kill_primary()


@group.command("kill-standby")
def kill_standby() -> None:
    """The standby database of an --ha lab crashes and is started again; nothing is accepted in between."""
    Lab().kill_standby()


@group.command("promote-standby")
def promote_standby() -> None:
    """The standby database of an --ha lab takes the place of the primary that died."""
    Lab().promote_standby()


@group.command()
def start(node: Node) -> None:
    """A machine that died boots again."""
    Lab().start(node)


@group.command()
def partition(node: Node) -> None:
    """Cut a node's network cable; what is on it runs on."""
    Lab().partition(node)


@group.command()
def heal(node: Node) -> None:
    """Mend a node's network cable."""
    Lab().heal(node)


@group.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lxc(context: typer.Context, node: Node) -> None:
    """Run lxc against a node's LXD: pathfinder lab lxc node-02 -- list."""
    raise typer.Exit(lxc_command(Lab().socket(node), context.args).returncode)
