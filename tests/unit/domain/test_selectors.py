"""Conditions, taints and tolerations: text and value say the same, and a contradiction is one."""

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.domain.asking import Effect, Taint, Toleration
from pathfinder.domain.selectors import Index, Operator, Requirement, Selector, contradiction

KEYS = st.sampled_from(["a", "zone", "node.lxd", "x/y", "a-b", "in", "not"])
VALUES = st.sampled_from(["", "a", "b", "1", "5.0.2", "in", "not", "A_b-c"])
NUMBERS = st.sampled_from(["0", "1", "1.0", "2", "5.0.2", "10"])


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    """Any requirement there can be."""
    operator = draw(st.sampled_from(Operator))
    key = draw(KEYS)
    if operator in (Operator.EXISTS, Operator.MISSING):
        return Requirement(key, operator)
    if operator in (Operator.IN, Operator.NOT_IN):
        return Requirement(key, operator, tuple(sorted(draw(st.sets(VALUES, min_size=1, max_size=3)))))
    ordered = operator in (Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST)
    return Requirement(key, operator, (draw(NUMBERS if ordered else VALUES),))


@given(requirements())
def test_a_requirement_reads_what_it_prints(requirement: Requirement) -> None:
    """Text, value, text."""
    assert Requirement.parse(str(requirement)) == requirement


@given(st.lists(requirements(), max_size=4))
def test_a_selector_reads_what_it_prints(ones: list[Requirement]) -> None:
    """Unless it contradicts itself, which is said."""
    if contradiction(ones):
        with pytest.raises(ValueError, match="contradict"):
            Selector.of(map(str, ones))
    else:
        selector = Selector.of(map(str, ones))
        assert Selector.parse(str(selector)) == selector == Selector(tuple(sorted(set(ones))))


@given(st.builds(Taint, KEYS, VALUES, st.sampled_from(Effect)))
def test_a_taint_reads_what_it_prints(taint: Taint) -> None:
    """Text, value, text."""
    assert Taint.parse(str(taint)) == taint


@given(st.one_of(st.just(Toleration()), st.builds(Toleration, KEYS, st.none() | VALUES)))
def test_a_toleration_reads_what_it_prints(toleration: Toleration) -> None:
    """Text, value, text."""
    assert Toleration.parse(str(toleration)) == toleration


@pytest.mark.parametrize(
    "text", ["", "a b", "a~b", "=a", "a=b=c", "a in b", "a in (b", "a<", "a<b", "!", "a,b", "a in ()()"]
)
def test_what_is_no_condition_is_refused_with_what_to_write(text: str) -> None:
    """So that a typing mistake never becomes a rule."""
    with pytest.raises(ValueError, match=r"write|use (at most|1 to 63)"):
        Requirement.parse(text)


@pytest.mark.parametrize("text", ["a:Never", "a=b c:NoSchedule", ":NoSchedule", "", "a=b:noschedule"])
def test_what_is_no_taint_is_refused(text: str) -> None:
    """Effects are written exactly."""
    with pytest.raises(ValueError, match=r"write|use"):
        Taint.parse(text)


# Everything a label `a` may look like, for conditions with values among 1, 2 and x: values between, beyond and beside.
_WORLD = [None, "", "0", "1", "1.0", "1.5", "2", "2.0", "3", "x", "y"]
_ATOMS = [
    Requirement.parse(text)
    for text in (
        *("a", "!a", "a=1", "a=2", "a=x", "a!=1", "a!=x", "a in (1, x)", "a in (2, x)", "a not in (1, 2)"),
        *("a<1", "a<=1", "a>1", "a>=1", "a<2", "a<=2", "a>2", "a>=2", "a="),
    )
]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_contradiction_is_told_exactly_where_no_label_could_satisfy_all(count: int) -> None:
    """By trying every label there can be. `a<1` alone leaves 0."""
    for ones in combinations(_ATOMS, count):
        possible = any(all(one.holds(value) for one in ones) for value in _WORLD)
        assert (contradiction(ones) is None) == possible, [str(one) for one in ones]


def test_conditions_on_different_labels_never_contradict() -> None:
    """Each is of its own label."""
    for one, other in product(_ATOMS, _ATOMS):
        assert contradiction([one, Requirement("b", other.operator, other.values)]) is None


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("v<5.10", "5.9", True),
        ("v>=5", "5.0", True),
        ("v>5", "5.0.1", True),
        ("v<5", "five", False),
        ("v<5", None, False),
        ("v!=5", None, True),
        ("v not in (5)", None, True),
    ],
)
def test_numbers_and_versions_are_compared_part_by_part(text: str, value: str | None, holds: bool) -> None:
    """As people read them."""
    assert Requirement.parse(text).holds(value) is holds


def test_a_toleration_with_a_key_alone_puts_up_with_any_value() -> None:
    """With a value only with that, with a star with everything."""
    taint = Taint.parse("dedicated=db:NoSchedule")

    assert [Toleration.parse(text).tolerates(taint) for text in ("*", "dedicated", "dedicated=db", "dedicated=x")] == [
        True,
        True,
        True,
        False,
    ]
    assert not Toleration.parse("other").tolerates(taint)


_CONDITIONS = st.sampled_from(
    ["a=1", "a in (1, 2)", "b", "!b", "a!=1", "a=2,b=1", "b>1,a in (2, 3)", "b not in (1)", ""]
)
_LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"))


@given(st.lists(_CONDITIONS, unique=True), _LABELS)
def test_an_index_finds_what_asking_each_selector_finds(conditions: list[str], labels: dict[str, str]) -> None:
    """Each once, whatever kind of condition it is."""
    chosen = [(Selector.parse(one), one) for one in conditions]

    found = list(Index(chosen).matching(labels))

    assert sorted(found) == sorted(one for selector, one in chosen if selector.matches(labels))
