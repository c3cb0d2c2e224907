"""A world of one deployment: plans are carried out in it, checked, and things happen to replicas."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from pathfinder.controllers import rollout
from pathfinder.domain import meta
from pathfinder.domain.deployed import Deployment, Revision
from pathfinder.domain.lifecycle import Health, Status
from pathfinder.domain.rollouts import Change, Plan, Replica

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 5.0
SPACE = UUID(int=7)
#: A template that counts its replicas.
COUNTING = {"environment": {"PEERS": "$pf-meta:deployment_host_sequences?host=web"}}


@dataclass
class World:
    """A deployment and its replicas, where plans are carried out and things happen to replicas."""

    deployment: Deployment
    changes: dict[int, Change]
    now: datetime = BEGINNING
    replicas: dict[UUID, Replica] = field(default_factory=dict)
    made: int = 0

    def seen(self) -> list[Replica]:
        """The replicas with what it takes to make each what is wanted."""
        return [
            replace(one, change=Change.NONE if one.revision == self.deployment.revision else self._takes(one.revision))
            for one in self.replicas.values()
        ]

    def _takes(self, revision: int) -> Change:
        return self.changes[max(revision, self.deployment.revision)]

    def look(self) -> Plan:
        """Decide, check what was decided, and carry it out."""
        seen = self.seen()
        plan = rollout.decide(self.deployment, seen, self.now)
        assert rollout.decide(self.deployment, seen[::-1], self.now) == plan
        self._check(plan, {one.id: one for one in seen})
        self._carry_out(plan)
        return plan

    def _check(self, plan: Plan, seen: dict[UUID, Replica]) -> None:
        strategy, wanted = self.deployment.strategy, self.deployment.replicas
        present = {id_: one for id_, one in seen.items() if one.status is not Status.SCHEDULE_DELETION}
        touched = {id_ for id_, change in plan.change.items() if change is not Change.RECORD}
        rebuilt = {id_ for id_, why in plan.delete.items() if why == rollout.REBUILT}
        away = touched | set(plan.delete)
        well = {id_ for id_, one in present.items() if one.well_since is not None}
        assert away <= set(present)
        if away & well:
            assert len(well - away) >= self.deployment.min_available_replicas
        if strategy.type != "recreate" and (touched | rebuilt) & well:
            assert wanted - len(well - away) <= strategy.max_unavailable
        numbers = [one.number for one in self.replicas.values()]
        assert not set(plan.create) & set(numbers)
        assert all(1 <= number <= wanted for number in plan.create)
        # Where they are counted, one that is needed until a lower number is there takes no place.
        needed = sum(one.number > wanted for one in present.values()) if meta.counts(self.deployment.template) else 0
        assert len(present) - len(plan.delete) + len(plan.create) <= max(wanted + needed, len(present))

    def _carry_out(self, plan: Plan) -> None:
        for id_ in plan.delete:
            one = self.replicas[id_]
            if one.status in (Status.PENDING, Status.PROVISION_ERROR, Status.LOST):
                del self.replicas[id_]
            else:
                self.replicas[id_] = replace(one, status=Status.SCHEDULE_DELETION, well_since=None)
        for id_, change in plan.change.items():
            one = replace(self.replicas[id_], revision=self.deployment.revision)
            if change is Change.REBOOTSTRAP:
                one = replace(one, status=Status.PROVISIONED, well_since=None, since=self.now)
            self.replicas[id_] = one
        for number, revision in plan.create.items():
            self.add(number, revision)
        self.deployment = replace(
            self.deployment, rollout=plan.rollout.document(), stable=plan.stable, wake_at=plan.wake_at
        )
        if plan.undo_to is not None:
            self.deployment = replace(self.deployment, revision=plan.undo_to)

    def add(self, number: int, revision: int) -> None:
        """A new replica."""
        self.made += 1
        id_ = uuid5(SPACE, str(self.made))
        self.replicas[id_] = Replica(
            id_,
            f"web-{number:02d}",
            number,
            Status.PENDING,
            Health.UNKNOWN,
            revision,
            Change.NONE,
            None,
            self.now,
            self.now,
        )

    def heal(self) -> None:
        """Whatever is under way ends well."""
        for id_, one in list(self.replicas.items()):
            if one.status is Status.SCHEDULE_DELETION:
                del self.replicas[id_]
            elif one.well_since is None:
                self.become(one, Status.BOOTSTRAPPED)

    def become(self, one: Replica, status: Status, health: Health = Health.HEALTHY) -> None:
        """Something happens to a replica."""
        well = self.now if status is Status.BOOTSTRAPPED and health is Health.HEALTHY else None
        self.replicas[one.id] = replace(one, status=status, health=health, well_since=well, since=self.now, waits=None)

    def happen(self, index: int, event: str) -> None:
        """One thing, to one replica or to all of it."""
        self.now += timedelta(seconds=1)
        if event == "later":
            self.now += timedelta(seconds=SECONDS)
        elif event in ("pause", "resume"):
            self.deployment = replace(self.deployment, paused=event == "pause")
        elif event == "change":
            self.deployment = replace(self.deployment, revision=index % len(self.changes) + 1)
        elif event == "scale":
            # With as many as shall serve at least, none may ever be touched: that is no end to be reached.
            least = self.deployment.min_available_replicas
            self.deployment = replace(self.deployment, replicas=max(least and least + 1, index % 7))
        elif self.replicas:
            self._befall(list(self.replicas.values())[index % len(self.replicas)], event)

    def _befall(self, one: Replica, event: str) -> None:
        if one.status is Status.SCHEDULE_DELETION:
            if event == "good":
                del self.replicas[one.id]
        elif event == "good":
            self.become(one, Status.BOOTSTRAPPED)
        elif event == "sick":
            self.become(one, Status.BOOTSTRAPPED, Health.UNHEALTHY)
        elif event == "delete":
            self.replicas[one.id] = replace(one, status=Status.SCHEDULE_DELETION, well_since=None)
        else:
            self.become(one, Status(event))


def deployment(**changes: object) -> Deployment:
    """One of three replicas that was never rolled out, but for `changes`."""
    document = {name: changes.pop(name) for name in ("strategy", "min_available_replicas") if name in changes}
    usual: dict[str, object] = {
        "id": UUID(int=1),
        "cluster_id": UUID(int=2),
        "cluster": "default",
        "name": "web",
        "labels": {},
        "document": document,
        "replicas": 3,
        "version": 1,
        "revision": 1,
        "stable": None,
        "paused": False,
        "leaving": False,
        "rollout": {},
        "message": None,
        "wake_at": None,
        "created_at": BEGINNING,
        "changed_at": BEGINNING,
        "revisions": {one: Revision(one, {}, "", "test", BEGINNING) for one in (1, 2, 3)},
    }
    return Deployment(**(usual | changes))  # type: ignore[arg-type]


def settle(world: World, times: int = 20) -> None:
    """Let everything end well, until nothing is to be done."""
    for _ in range(times):
        world.look()
        world.heal()
        world.now += timedelta(seconds=60)
    world.look()
