"""What an agent does with a command, and who is declared down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.controllers.provisioning import Step, deletes, provision
from pathfinder.domain.instances import Instance, InstanceOrder

ORDER = InstanceOrder("web", "id", 3, "cluster", "local:tiny")


def found(
    generation: int = 3, running: bool = True, container: str | None = "id", cluster: str | None = "cluster"
) -> Instance:
    """What stands under the order's name."""
    return Instance("web", running, container, generation, cluster)


@pytest.mark.parametrize(
    ("present", "fence", "step"),
    [
        (None, 0, Step.CREATE),
        (None, 2, Step.CREATE),
        (None, 3, Step.REFUSE_STALE),
        (None, 4, Step.REFUSE_STALE),
        (found(), 0, Step.KEEP),
        (found(running=False), 0, Step.START),
        (found(generation=2), 0, Step.REPLACE),
        (found(generation=2), 2, Step.REPLACE),
        (found(generation=4), 0, Step.REFUSE_STALE),
        (found(generation=2, container="predecessor"), 0, Step.REPLACE),
        (found(container="another"), 0, Step.REFUSE_FOREIGN),
        (found(cluster="another"), 0, Step.REFUSE_FOREIGN),
        (found(generation=0, container=None, cluster=None), 0, Step.REFUSE_FOREIGN),
    ],
)
def test_the_way_to_a_running_instance(present: Instance | None, fence: int, step: Step) -> None:
    """What is there and what was deleted here decide; what is not ours is never touched."""
    assert provision(ORDER, present, fence) == step


@given(
    st.integers(0, 6), st.booleans(), st.sampled_from(["id", "other", None]), st.sampled_from(["cluster", "x", None])
)
def test_only_an_older_instance_of_the_same_cluster_is_ever_replaced(
    generation: int, running: bool, container: str | None, cluster: str | None
) -> None:
    """Nothing newer, nothing foreign."""
    if provision(ORDER, found(generation, running, container, cluster), 0) == Step.REPLACE:
        assert (cluster, generation < ORDER.generation) == ("cluster", True)


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        (None, False),
        (found(generation=2), True),
        (found(generation=3), True),
        (found(generation=4), False),
        (found(cluster="another"), False),
        (found(cluster=None), False),
    ],
)
def test_a_delete_is_about_its_own_instance_and_older_ones(present: Instance | None, wanted: bool) -> None:
    """A late delete never removes a successor."""
    assert deletes(present, "cluster", 3) == wanted


@pytest.mark.parametrize("present", [None, found(running=False), found()])
def test_what_was_given_up_here_is_not_started_by_a_copy_of_its_command(present: Instance | None) -> None:
    """It is placed elsewhere by then, also where something of it is left here."""
    assert provision(ORDER, present, ORDER.generation) == Step.REFUSE_STALE
