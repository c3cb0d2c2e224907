"""Values as people read them: moments, ages, sizes, labels, and what an event says."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pathfinder.domain.checks import Check
from pathfinder.domain.instances import Stage
from pathfinder.domain.problems import ProblemKind, event_of
from pathfinder.domain.resources import format_bytes, format_cpu
from pathfinder.domain.views import Amounts, Cluster, Event

SIMULATED = "SIMULATED"
_STAGES: Mapping[str, str] = {
    Stage.IMAGE: "getting the image",
    Stage.CREATE: "creating it",
    Stage.START: "starting it",
    Stage.ADDRESS: "waiting for its address",
}
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def moment(at: datetime) -> str:
    """A moment on the reader's own clock (set TZ=UTC for UTC). JSON and YAML have it in full, with its zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A length of time in its one or two largest units: `45s`, `3m10s`, `2d4h`."""
    left = max(0, int(seconds))
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return "".join(f"{count}{unit}" for count, unit in parts[:2] if count) or "0s"


def age(since: datetime) -> str:
    """How long ago a moment was."""
    return span((datetime.now(UTC) - since).total_seconds())


def node_name(hostname: str | None, simulated: bool) -> str | None:
    """A node's name, labelled where nothing real runs on it."""
    return f"{hostname} {SIMULATED}" if hostname and simulated else hostname


def pairs(values: Mapping[str, str]) -> str | None:
    """`key=value,key=value`."""
    return ",".join(f"{key}={value}" for key, value in sorted(values.items())) or None


def few(names: Sequence[str]) -> str | None:
    """The first of several names, and how many more there are."""
    return f"{names[0]} +{len(names) - 1}" if len(names) > 1 else next(iter(names), None)


def cpu(millicores: int) -> str | None:
    """Cores; nothing where there is no limit."""
    return format_cpu(millicores) if millicores else None


def size(amount: int) -> str | None:
    """A size; nothing where there is no limit."""
    return format_bytes(amount) if amount else None


def amounts(of: Amounts) -> str:
    """All resources in a line."""
    return f"cpu {format_cpu(of.cpu_millicores)}, memory {format_bytes(of.memory_bytes)}, disk " + format_bytes(
        of.disk_bytes
    )


def topology(rule: Mapping[str, Any], of: str) -> str:
    """Whom a rule is about, and where: `app=web@zone`, and its weight where it is a wish."""
    return f"{rule[of]}@{rule['over']}" + ("" if rule["required"] else f", weight {rule['weight']:g}")


def company(rule: Mapping[str, Any]) -> str:
    """What a rule or wish about other containers is called."""
    where = "near" if rule["rule"] == "together" else "apart"
    return where.capitalize() if rule["required"] else f"Rather {where}"


def share(rule: Mapping[str, Any]) -> str:
    """An even share: `app=web@zone, skew 1`, and the domains' weights."""
    weights = ",".join(f"{name}:{weight:g}" for name, weight in sorted(rule["weights"].items()))
    return f"{topology(rule, 'of')}, skew {rule['max_skew']}" + (f", shares {weights}" if weights else "")


def check(it: Check) -> str:
    """What a check asks, and how often: `http port 80 /health, every 10 s`."""
    if it.http is not None:
        asks = f"{it.http.scheme} port {it.http.port} {it.http.path}"
    elif it.tcp is not None:
        asks = f"tcp port {it.tcp.port}"
    else:
        asks = " ".join(it.exec.command) if it.exec else ""
    return f"{asks}, every {it.interval_seconds:g} s"


def ratios(overcommit: Mapping[str, float]) -> str | None:
    """How often resources may be promised: `cpu x2,memory x1.5`."""
    return ",".join(f"{name} x{ratio:g}" for name, ratio in sorted(overcommit.items())) or None


def quota(cluster: Cluster) -> str | None:
    """What is used of each part of a quota: `cpu 12/100, containers 5/50`; without the use where that is not told."""
    limits, used = cluster.quota or {}, cluster.used
    parts = (
        ("cpu", "cpu_millicores", format_cpu),
        ("memory", "memory_bytes", format_bytes),
        ("disk", "disk_bytes", format_bytes),
        ("containers", "containers", str),
    )
    told = [
        f"{noun} {write(getattr(used, part)) + '/' if used else ''}{write(limits[part])}"
        for noun, part, write in parts
        if part in limits
    ]
    return ", ".join(told) or None


def details(event: Event) -> str:
    """What an event says beyond its kind, subject and node; all of its body where no words are known for its kind."""
    return _DETAILS.get(event.kind, _fields)(event.body)


def progress(body: Mapping[str, Any]) -> str:
    """A step of a provision: `getting the image 45%`."""
    stage, percent = str(body.get("stage", "")), body.get("percent")
    return _STAGES.get(stage, stage) + (f" {percent}%" if percent is not None else "")


def failure(body: Mapping[str, Any]) -> str:
    """A failed provision: its reason, and where it is not the last attempt, which one it was and when the next is."""
    reason = str(body.get("reason") or "")
    if not body.get("retry_at"):
        return reason
    again = moment(datetime.fromisoformat(str(body["retry_at"])))
    return f"{reason.rstrip('.')} (attempt {body.get('attempt')} of {body.get('max_attempts')}, again at {again})"


def _text(key: str, before: str = "") -> Callable[[Mapping[str, Any]], str]:
    return lambda body: before + str(body[key]) if body.get(key) else ""


def _fields(body: Mapping[str, Any]) -> str:
    # The status follows from the kind; it is there for those who replay the log.
    return " ".join(
        f"{key}={_short(value)}" for key, value in body.items() if key != "status" and value not in (None, "", [], {})
    )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


_DETAILS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "deployment.applied": lambda body: f"{body.get('change')}: revision {body.get('revision')}",
    "deployment.scaled": lambda body: " ".join(
        [f"{body.get('from')} → {body.get('to')}", *([f"({body['reason']})"] if body.get("reason") else [])]
    ),
    "deployment.undone": lambda body: f"revision {body.get('from')} → {body.get('to')}",
    "deployment.rollout_started": _text("revision", "revision "),
    "deployment.rolled_out": _text("revision", "revision "),
    "deployment.promoted": _text("revision", "revision "),
    "deployment.rollout_failed": _text("why"),
    "policy.applied": _text("version", "version "),
    "policy.deleted": lambda body: "",
    "container.requested": _text("image", "image "),
    "container.scheduled": _text("policy", "policy "),
    "container.rescheduled": _text("from", "from "),
    "container.preempted": _text("for", "for "),
    "container.unplaceable": _text("reason"),
    "container.progress": progress,
    "container.provisioned": _text("ipaddress"),
    "container.provision_failed": failure,
    **{kind: _text("reason") for one in ProblemKind if (kind := event_of(one))},
    "problem.resolved": _text("kind"),
    "container.unhealthy": _text("reason"),
    "container.restarted": _text("restarts", "times in a row: "),
    "container.update_failed": _text("reason"),
    "webhook.given_up": _text("reason"),
    "node.set_aside": _text("reason"),
    "node.restored": lambda body: "",
}
