"""What `pfi create container` may say about where it goes: the options, and the fields they stand for."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer import BadParameter

from pathfinder.cli.pfi import parsing
from pathfinder.client.containers import Wishes


def _some(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=f"{text}; may be repeated.")
    return option


_COMPANY = "SELECTOR[@TOPOLOGY]"
_SHARE = "SELECTOR[@TOPOLOGY[:SKEW][:DOMAIN=SHARE,…]]"
Texts = list[str] | None

LimitCpu = Annotated[str | None, typer.Option(metavar="CORES", help="The most CPU it may use; else --cpu.")]
LimitMemory = Annotated[str | None, typer.Option(metavar="SIZE", help="The most memory it may use; else --memory.")]
LimitDisk = Annotated[str | None, typer.Option(metavar="SIZE", help="How large its disk may grow; else --disk.")]
Constraint = Annotated[Texts, _some("--constraint", "CONDITION", "On its node, like 'zone in (a, b)' or 'node.lxd>=6'")]
Arch = Annotated[str | None, typer.Option("--arch", metavar="NAME", help="Architecture of its node: x86_64, aarch64.")]
Pool = Annotated[str | None, typer.Option(metavar="NAME", help="Pool of nodes, if not default; '*': any.")]
Toleration = Annotated[Texts, _some("--toleration", "KEY[=VALUE]", "Taint it puts up with; '*': all")]
Near = Annotated[Texts, _some("--near", _COMPANY, "Only where such containers are: app=db@zone")]
Apart = Annotated[Texts, _some("--apart", _COMPANY, "Never where such containers are: app=web")]
PreferNear = Annotated[Texts, _some("--prefer-near", _COMPANY, "Rather where such containers are")]
PreferApart = Annotated[Texts, _some("--prefer-apart", _COMPANY, "Rather where such containers are not")]
Spread = Annotated[
    Texts, _some("--spread", _SHARE, "As many in each domain, but for SKEW, or by shares: app=web@zone:1:a=2")
]
PreferSpread = Annotated[Texts, _some("--prefer-spread", _SHARE, "Rather where there are fewer")]
Budget = Annotated[
    str | None, typer.Option(metavar="SELECTOR[:N]", help="At most N (1) of these away at once by our own action.")
]
Priority = Annotated[int | None, typer.Option(metavar="N", help="Higher goes first: -1000 to 1000, else 0.")]
Together = Annotated[bool, typer.Option("--together", help="A gang: all are placed at once, or none.")]
Policy = Annotated[str | None, typer.Option(metavar="NAME", help="Placement policy, if not the cluster's.")]


def limits(cpu: str | None, memory: str | None, disk: str | None) -> Wishes:
    """The limits that were given."""
    given = {name: text for name, text in (("cpu", cpu), ("memory", memory), ("disk", disk)) if text is not None}
    return {"limits": given} if given else {}


def company(near: Texts, apart: Texts, prefer_near: Texts, prefer_apart: Texts) -> Wishes:
    """Rules and wishes about other containers."""
    ways: Sequence[tuple[Texts, str, bool]] = (
        (near, "together", True),
        (apart, "apart", True),
        (prefer_near, "together", False),
        (prefer_apart, "apart", False),
    )
    rules = [
        {**_over("to", text), "rule": rule, "required": required}
        for texts, rule, required in ways
        for text in texts or ()
    ]
    return {"affinity": rules} if rules else {}


def shares(spread: Texts, prefer_spread: Texts) -> Wishes:
    """Even shares of domains."""
    rules = [
        {**_share(text), "required": required}
        for texts, required in ((spread, True), (prefer_spread, False))
        for text in texts or ()
    ]
    return {"spread": rules} if rules else {}


def budget(text: str | None) -> Wishes:
    """How many of a group may be away."""
    if text is None:
        return {}
    of, _, count = text.partition(":")
    return {"budget": {"of": of, **({"max_unavailable": _number(count, text)} if count else {})}}


def _over(field: str, text: str) -> dict[str, Any]:
    selector, at, topology = text.partition("@")
    if not selector.strip() or (at and not topology):
        raise BadParameter(f"{text!r} is not of the form {_COMPANY}, like app=web or app=web@zone")
    return {field: selector, **({"over": topology} if at else {})}


def _share(text: str) -> dict[str, Any]:
    rest, *parts = text.split(":")
    rule = _over("of", rest)
    if parts and "=" not in parts[0]:
        rule["max_skew"] = _number(parts.pop(0), text)
    if parts:
        rule["weights"] = parsing.pairs(parts.pop(0).split(","))
    if parts:
        raise BadParameter(f"{text!r} is not of the form {_SHARE}, like app=web@zone:1 or app=web@zone:1:a=2,b=1")
    return rule


def _number(text: str, whole: str) -> int:
    if not text.isdecimal():
        raise BadParameter(f"{whole!r} ends with {text!r}; after the colon stands a whole number, like :1")
    return int(text)
