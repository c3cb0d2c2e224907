"""What a deployment does next, so that its replicas become what is wanted and enough of them serve all the while.

By our own action never fewer than `min_available_replicas` are ready, and never more than `max_unavailable` are away:
whatever is away already, for whatever reason, counts before anything that serves is touched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, islice
from uuid import UUID

from pathfinder.controllers import removal
from pathfinder.domain import meta
from pathfinder.domain.deployed import Deployment
from pathfinder.domain.deployments import OnFailure, Strategy, StrategyType
from pathfinder.domain.lifecycle import Health, Status
from pathfinder.domain.rollouts import Change, Phase, Plan, Replica, Rollout

#: A replica whose provisions failed for good is made anew after this time: what was in its way may be gone.
ANEW_SECONDS = 60.0

REBUILT, SHRUNK, ANEW, LEFT = "its template changed", "fewer are wanted", "it could not be made", "all of it is deleted"


def decide(deployment: Deployment, replicas: Sequence[Replica], now: datetime) -> Plan:
    """What to do now with these living replicas. The same is decided from the same, in whatever order they come."""
    ordered = sorted(replicas, key=lambda one: one.number)
    if deployment.leaving:
        going = {one.id: LEFT for one in ordered if one.status is not Status.SCHEDULE_DELETION}
        return Plan(Rollout.read(deployment.rollout), deployment.stable, delete=going, gone=not ordered)
    return _Look(deployment, ordered, now).plan()


@dataclass(slots=True)
class _Look:
    """One look at a deployment: what is decided so far."""

    deployment: Deployment
    replicas: Sequence[Replica]
    now: datetime
    strategy: Strategy = field(init=False)
    settling: timedelta = field(init=False)
    rollout: Rollout = field(init=False)
    present: list[Replica] = field(init=False)
    delete: dict[UUID, str] = field(default_factory=dict)
    change: dict[UUID, Change] = field(default_factory=dict)
    moments: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.strategy = self.deployment.strategy
        self.settling = timedelta(seconds=self.strategy.min_healthy_seconds)
        self.present = [one for one in self.replicas if one.status is not Status.SCHEDULE_DELETION]
        kept = Rollout.read(self.deployment.rollout)
        if kept.revision != self.deployment.revision:
            kept = Rollout(
                self.deployment.revision, began_at=self.now, promoted=kept.promoted, addresses=kept.addresses
            )
        still = {number: at for number, at in kept.changed.items() if at + self.settling > self.now}
        self.rollout = replace(kept, changed=still)

    def plan(self) -> Plan:
        """Everything, in the order in which one rests on the other."""
        self._record()
        self._shrink()
        whole = self._is_whole()
        stable = self.deployment.revision if whole else self.deployment.stable
        self._judge(whole)
        if self._goes_back():
            return Plan(self.rollout, stable, undo_to=self.deployment.stable, message=self.rollout.why)
        self._give_up()
        self._renew()
        return Plan(
            self.rollout,
            stable,
            delete=self.delete,
            change=self.change,
            create=self._missing(),
            message=self._message(),
            wake_at=min((at for at in self.moments if at > self.now), default=None),
        )

    def _record(self) -> None:
        """Those that are of the wanted revision but for what is written of them."""
        for index, one in enumerate(self.present):
            if one.change is Change.RECORD or (one.change is Change.NONE and one.revision != self.deployment.revision):
                self.change[one.id] = Change.RECORD
                self.present[index] = replace(one, change=Change.NONE, revision=self.deployment.revision)

    def _shrink(self) -> None:
        """Remove what is too many. Whoever is needed stays until another is ready."""
        ready = sum(map(self._is_ready, self.present))
        for one in self._dispensable():
            ready -= self._is_ready(one)
            if one.well_since is not None and ready < self.deployment.min_available_replicas:
                break
            self.delete[one.id] = SHRUNK
        self._take(self.delete)

    def _dispensable(self) -> list[Replica]:
        """Those that are too many, in the order in which they go. Where they are counted, a number that is too high is
        too many also while a lower one is away.
        """
        if self._counts:
            return [one for one in reversed(self.present) if one.number > self.deployment.replicas]
        number = len(self.present) - self.deployment.replicas
        if number <= 0:
            return []
        known = {one.id: one for one in self.present}
        sick = [_removable(one) for one in self.present if one.well_since is None]
        fit = [_removable(one) for one in self.present if one.well_since is not None]
        going = removal.chosen(sick, number)
        return [known[one.id] for one in going + removal.chosen(fit, number - len(going))]

    def _judge(self, whole: bool) -> None:
        """Whether the rollout is done, has got on, or has failed."""
        if whole:
            self.rollout = replace(self.rollout, phase=Phase.DONE, why=None, progress_at=None)
            return
        if self.rollout.phase in (Phase.DONE, Phase.FAILED):
            return
        if self._has_canaries and self._is_tried():
            self.rollout = replace(self.rollout, promoted=self.deployment.revision)
        waits = self.deployment.paused or (self._has_canaries and self._are_ready(self._canaries))
        ready = sum(map(self._is_ready, self._updated))
        phase = Phase.CANARY if self._has_canaries else Phase.ROLLING
        at = None if waits else self.rollout.progress_at
        if not waits and (at is None or ready > self.rollout.best):
            at = self.now
        self.rollout = replace(self.rollout, phase=phase, progress_at=at, best=max(ready, self.rollout.best))
        if not self.deployment.paused and (why := self._failure()):
            self.rollout = replace(self.rollout, phase=Phase.FAILED, why=why, progress_at=None)

    def _failure(self) -> str | None:
        for one in self._updated:
            if one.status in (Status.PROVISION_ERROR, Status.BOOTSTRAP_ERROR):
                return f"{one.hostname} is {one.status}."
            if self._has_canaries and one.health is Health.UNHEALTHY:
                return f"The canary {one.hostname} is {one.health}."
        if self.rollout.progress_at is None:
            return None
        seconds = self.strategy.progress_deadline_seconds
        if self._due(self.rollout.progress_at + timedelta(seconds=seconds)):
            return f"Not one more replica became ready within {seconds:g} s."
        return None

    def _goes_back(self) -> bool:
        """Whether the failure that was just seen is to be undone."""
        failed = self.rollout.phase is Phase.FAILED and self._has_former
        return failed and self.strategy.on_failure is OnFailure.UNDO and not self.deployment.paused

    def _give_up(self) -> None:
        """Have those made anew that could not be made, except where they are why the rollout stopped: they are left to
        be looked at.
        """
        for one in self.present:
            seen = self._halted and one.revision == self.deployment.revision
            broken = one.status is Status.PROVISION_ERROR and not seen
            if broken and self._due(one.since + timedelta(seconds=ANEW_SECONDS)):
                self.delete[one.id] = ANEW
        self._take(id_ for id_, why in self.delete.items() if why is ANEW)

    def _renew(self) -> None:
        """Change as many of the outdated as may be away."""
        outdated = [one for one in self.present if self._is_outdated(one) and one.status is not Status.LOST]
        if self._halted or not outdated:
            return
        wanted, recreate = self.deployment.replicas, self.strategy.type is StrategyType.RECREATE
        most = max(wanted, 1) if recreate else self.strategy.max_unavailable
        missing = wanted - len(self.present)
        quota = self._canaries - len(self._updated) - missing if self._has_canaries else wanted
        busy = missing + sum(one.status is not Status.LOST and not self._is_ready(one) for one in self._updated)
        ready = sum(map(self._is_ready, self.present))
        for one in sorted(outdated, key=lambda one: (one.well_since is not None, self._is_ready(one), one.number)):
            if quota <= 0 or busy >= most:
                return
            left = ready - self._is_ready(one)
            serves = one.well_since is not None
            if serves and (left < self.deployment.min_available_replicas or wanted - left > most):
                return
            busy, ready, quota = busy + 1, left, quota - 1
            self._renew_one(one)

    def _renew_one(self, one: Replica) -> None:
        if one.change is Change.REBUILD:
            self.delete[one.id] = REBUILT
            self._take([one.id])
            return
        self.change[one.id] = one.change
        if one.change is Change.LIVE:
            self.rollout = replace(self.rollout, changed={**self.rollout.changed, one.number: self.now})
            self.moments.append(self.now + self.settling)

    def _missing(self) -> dict[int, int]:
        """The numbers to be made now, with their revisions. A number that is still leaving is waited for."""
        # Where they are counted, those of too high a number that are needed still take the place of none.
        most = self.deployment.replicas
        lacking = most - sum(one.number <= most or not self._counts for one in self.present)
        if lacking <= 0 or self._waits_for_the_old():
            return {}
        there = {one.number for one in self.present}
        leaving = {one.number for one in self.replicas} - there
        numbers = list(islice((number for number in count(1) if number not in there), lacking))
        new, old = self.deployment.revision, self.deployment.stable
        room = len(numbers)
        if self._has_former and self._halted:
            room = 0
        elif self._has_canaries:
            room = max(self._canaries - len(self._updated), 0)
        free = [number for number in numbers if number not in leaving]
        return {number: new if old is None or place < room else old for place, number in enumerate(free)}

    def _waits_for_the_old(self) -> bool:
        """Whether old and new are not to run at once, and old ones run."""
        if self.strategy.type is not StrategyType.RECREATE or self.deployment.min_available_replicas:
            return False
        if self._halted:
            return False
        return any(
            one.status is not Status.LOST
            and one.revision != self.deployment.revision
            and (one.change is Change.REBUILD or one.status is Status.SCHEDULE_DELETION or one.id in self.delete)
            for one in self.replicas
        )

    def _message(self) -> str | None:
        if self.rollout.phase is Phase.FAILED:
            return self.rollout.why
        by_hand = self._has_canaries and self.strategy.promote_after_seconds is None
        if by_hand and not self.deployment.paused and self._are_ready(self._canaries):
            return f"Its canaries are well; `pfi rollout promote {self.deployment.name}` goes on to the rest."
        if waiting := next((one for one in self.present if one.waits), None):
            return f"{waiting.hostname} waits: {waiting.waits}"
        if self._halted or not any(map(self._is_outdated, self.present)):
            return None
        if self.deployment.min_available_replicas >= self.deployment.replicas:
            return "min_available_replicas leaves none that may be away: lower it, or have more replicas."
        return None

    def _take(self, ids: Iterable[UUID]) -> None:
        gone = set(ids)
        self.present = [one for one in self.present if one.id not in gone]

    def _due(self, at: datetime) -> bool:
        """Whether that moment has come; if not, there will be another look then."""
        self.moments.append(at)
        return at <= self.now

    def _is_outdated(self, one: Replica) -> bool:
        return one.change is not Change.NONE

    def _is_ready(self, one: Replica) -> bool:
        if one.well_since is None:
            return False
        since = max(one.well_since, self.rollout.changed.get(one.number, one.well_since))
        return self._due(since + self.settling)

    def _are_ready(self, number: int) -> bool:
        return sum(map(self._is_ready, self._updated)) >= number

    def _is_whole(self) -> bool:
        there = self._updated
        return len(self.present) == len(there) == self.deployment.replicas and self._are_ready(len(there))

    def _is_tried(self) -> bool:
        """Whether the canaries were well for long enough to be followed by the rest."""
        after = self.strategy.promote_after_seconds
        if after is None or self.deployment.paused or not self._are_ready(self._canaries):
            return False
        ready = [one.well_since for one in self._updated if one.well_since is not None and self._is_ready(one)]
        return not ready or self._due(max(ready) + timedelta(seconds=after))

    @property
    def _updated(self) -> list[Replica]:
        return [one for one in self.present if not self._is_outdated(one)]

    @property
    def _counts(self) -> bool:
        """Whether no number may be missing among its replicas."""
        return meta.counts(self.deployment.template)

    @property
    def _has_former(self) -> bool:
        """Whether there is another revision that was rolled out whole."""
        return self.deployment.stable not in (None, self.deployment.revision)

    @property
    def _has_canaries(self) -> bool:
        """Whether the wanted revision is to run in canaries only, for now."""
        tries = self.strategy.type is StrategyType.CANARY and self._has_former
        return tries and self.rollout.promoted != self.deployment.revision

    @property
    def _canaries(self) -> int:
        return min(self.strategy.canaries, self.deployment.replicas)

    @property
    def _halted(self) -> bool:
        """Whether the rollout goes no further now. One that has nothing to go back to goes on trying."""
        return self.deployment.paused or (self.rollout.phase is Phase.FAILED and self._has_former)


def _removable(one: Replica) -> removal.Replica:
    return removal.Replica(one.id, one.hostname, one.status, one.health, one.created_at, one.node, one.zone)
