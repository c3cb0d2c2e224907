"""The command tree of `pfi`, and the one place where its exceptions become exit codes.

A verb's module is imported when the verb is used: `pfi version` does not wait for an HTTP client to load.
"""

import os
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer._click.core import Command, Context
from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption, UsageError
from typer.core import TyperGroup

from pathfinder.cli.pfi.failures import ExitCode, report
from pathfinder.cli.pfi.terminal import harmless, note

#: Each verb's module, in the order `pfi help` lists them. Its `app` is the verb's Typer application.
VERBS = {
    "status": "status",
    "get": "get",
    "describe": "describe",
    "explain": "explain",
    "create": "create",
    "apply": "apply",
    "edit": "edit",
    "scale": "scale",
    "rollout": "rollout",
    "plan": "plan",
    "policy": "policy",
    "delete": "delete",
    "update": "update",
    "reschedule": "reschedule",
    "rebootstrap": "rebootstrap",
    "logs": "logs",
    "cordon": "cordon",
    "uncordon": "uncordon",
    "resilience": "resilience",
    "autoscale": "autoscale",
    "recommend": "recommend",
    "test": "test",
    "events": "events",
    "dead": "dead",
    "audit": "audit",
    "login": "login",
    "logout": "logout",
    "whoami": "whoami",
    "user": "user",
    "token": "token",
    "session": "sessions",
    "secret": "secret",
    "node": "node",
    "cluster": "cluster",
    "config": "config",
    "schema": "schema",
    "version": "version",
    "help": "help",
}

EXIT_CODES = (
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 cannot reach the server, 4 timed out, "
    "5 the server is unavailable or overloaded, try later, "
    "6 and 7 of `pfi status`: degraded, down; "
    "2 of `pfi plan -f`: it would change something; "
    "8 of `pfi plan`, `pfi policy test` and `pfi resilience`: something would wait; "
    "9 of `pfi policy diff`: they differ; 130 after Ctrl-C."
)

GLOBAL_FLAGS = ("--profile", "--server", "--cluster", "--debug")


class _Verbs(MutableMapping[str, Command]):
    """The verbs, each loaded when it is looked at."""

    def __init__(self) -> None:
        self._loaded: dict[str, Command] = {}

    def __getitem__(self, verb: str) -> Command:
        if verb not in self._loaded:
            command = typer.main.get_command(import_module(f"pathfinder.cli.pfi.{VERBS[verb]}").app)
            command.name = verb
            self._loaded[verb] = command
        return self._loaded[verb]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)

    def __setitem__(self, verb: str, command: Command) -> None:
        self._loaded[verb] = command

    def __delitem__(self, verb: str) -> None:
        raise TypeError("the verbs are a literal table")


class Root(TyperGroup):
    """`pfi` itself."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**{**attrs, "commands": None})
        self.commands = _Verbs()

    def list_commands(self, ctx: Context) -> list[str]:
        """The verbs in their own order."""
        return list(VERBS)

    def invoke(self, ctx: Context) -> Any:
        """Run the verb. Typer would end a broken pipe with 1, which means "refused" here."""
        if ctx.params.get("debug"):
            os.environ["PFI_DEBUG"] = "1"
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whatever is still buffered has no reader; flushing it at exit would fail once more, with a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None


app = typer.Typer(
    name="pfi",
    cls=Root,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def pfi(
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Profile of ~/.pfi/config to use.", envvar="PFI_PROFILE")
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="URL", help="Server to talk to.", envvar="PFI_SERVER")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cluster to work in.", envvar="PFI_CLUSTER")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.", envvar="PFI_DEBUG")] = False,
) -> None:
    """Ask Pathfinder for containers, and see where they are and why."""


def start(arguments: list[str]) -> int:
    """Run `pfi` with `arguments` and return its exit code; everything that goes wrong is told on stderr."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a real stream at a process's start
    try:
        return int(app(arguments, prog_name="pfi", standalone_mode=False) or ExitCode.DONE)
    except NoArgsIsHelpError as help_wanted:
        note(help_wanted.format_message())
        return ExitCode.USAGE
    except ClickException as wrong:
        return _usage(wrong)
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as failure:
        return report(failure)


def _usage(wrong: ClickException) -> int:
    note(f"error: {harmless(wrong.format_message())}")
    if isinstance(wrong, NoSuchOption) and wrong.option_name in GLOBAL_FLAGS:
        note(f"hint: {wrong.option_name} stands before the command: pfi {wrong.option_name} … COMMAND")
    elif isinstance(wrong, UsageError) and wrong.ctx is not None:
        note(f"hint: {wrong.ctx.command_path} --help")
    return ExitCode.USAGE
