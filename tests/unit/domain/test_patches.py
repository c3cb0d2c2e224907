"""What comes of what operators set."""

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain.asking import Effect, Taint
from pathfinder.domain.patches import NodePatch, Quota, merged, tainted

TAINTS = st.lists(
    st.builds(Taint, st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), st.sampled_from(Effect)), max_size=5
)


def test_none_removes_and_what_is_left_out_stays() -> None:
    """Labels and ratios alike."""
    assert merged({"a": 1, "b": 2}, {"a": None, "c": 3, "d": None}) == {"b": 2, "c": 3}


@given(TAINTS, TAINTS, st.lists(st.sampled_from(["a", "b", "a:NoSchedule", "c:PreferNoSchedule"]), max_size=3))
def test_there_is_one_taint_for_each_key_and_effect(before: list[Taint], add: list[Taint], remove: list[str]) -> None:
    """What is added is there, the last of its kind; what is removed is not, unless it is added again."""
    start = tainted([], map(str, before), [])
    found = [Taint.parse(text) for text in tainted(start, map(str, add), remove)]

    marks = [(one.key, one.effect) for one in found]
    assert marks == sorted(set(marks))
    assert {(one.key, one.effect): one for one in add}.items() <= {(one.key, one.effect): one for one in found}.items()
    for one in found:
        assert one in add or not {one.key, f"{one.key}:{one.effect}"} & set(remove)
    assert tainted(tainted(start, map(str, add), remove), map(str, add), []) == list(map(str, found))


def test_a_patch_tells_none_from_nothing() -> None:
    """Null removes a limit, what is left out stays."""
    assert NodePatch.model_validate({"max_containers": None}).model_fields_set == {"max_containers"}
    assert Quota.model_validate({"cpu": None, "memory": "1GiB"}).amounts() == {
        "cpu_millicores": None,
        "memory_bytes": 1 << 30,
    }
