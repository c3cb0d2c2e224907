"""Plugins of installed packages: the guide's own example, and those that cannot be used."""

import re
import runpy
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pathfinder.domain.errors import Invalid
from pathfinder.domain.policies import PolicyDocument
from pathfinder.domain.resources import Resources
from pathfinder.plugins import discovered
from pathfinder.scheduling.filters import FILTERS
from pathfinder.scheduling.fleet import Fleet, NodeState
from pathfinder.scheduling.place import decide
from pathfinder.scheduling.policy import BUILT_IN, compiled
from pathfinder.scheduling.request import Ask, Request
from pathfinder.scheduling.scorers import SCORERS

GUIDE = (Path(__file__).parents[2] / "docs/guides/placement-plugins.md").read_text()
TOML, MODULE, TWIN, POLICY = re.findall(r"```(?:toml|python|yaml)\n(.*?)```", GUIDE, flags=re.DOTALL)

Install = Callable[[str, dict[str, dict[str, str]], dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with these entry points and modules where Python looks for packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def install(name: str, points: dict[str, dict[str, str]], modules: dict[str, str]) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in them.items()) for group, them in points.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)

    yield install
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


def node(name: str, **labels: str) -> NodeState:
    """An empty node with eight cores."""
    attributes = {key.replace("_", "."): value for key, value in labels.items()}
    return NodeState(name, name, True, True, Resources(8000, 1 << 30, 1 << 30), Resources(), 0, 0, attributes)


def test_without_plugins_there_are_the_built_in_rules() -> None:
    """And nothing else."""
    assert (discovered().filters.keys(), discovered().scorers.keys()) == (FILTERS.keys(), SCORERS.keys())


def test_the_package_of_the_guide_works(install: Install, tmp_path: Path) -> None:
    """As it is printed there: its entry points are found, its policy places by it, and its twin agrees."""
    import yaml

    install("rack-rules", tomllib.loads(TOML)["project"]["entry-points"], {"rack_rules": MODULE})
    rules = discovered()
    policy = compiled(PolicyDocument.model_validate(yaml.safe_load(POLICY)), 1, rules)
    fleet = Fleet.of([node("warm", rack_celsius="35"), node("cool", rack_celsius="21"), node("desk")])

    (web,), tried = decide(fleet, [Request("web")], policy, 1)
    assert (web.candidates[0].node, tried.faults) == ("cool", ())
    assert web.candidates[0].scores["cool-rack"] == pytest.approx(0.95)
    (database,), _ = decide(fleet, [Request("database", Ask(stateful=True))], policy, 1)
    assert [(one.filter, one.nodes, one.reason) for one in database.rejected] == [("racked", 1, "node is in no rack")]

    (tmp_path / "twin.py").write_text(TWIN)
    runpy.run_path(str(tmp_path / "twin.py"))["test_the_rules_are_their_twins"]()


def test_a_policy_that_names_what_is_not_installed_is_refused() -> None:
    """With what there is."""
    import yaml

    document = PolicyDocument.model_validate(yaml.safe_load(POLICY))
    with pytest.raises(Invalid, match="'cool-rack' is not a scorer here"):
        compiled(document, 1, BUILT_IN)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fits", "theirs:good", "a built-in rule has that name"),
        ("free-share", "theirs:good", "a built-in rule has that name"),
        ("wishes", "theirs:good", "a built-in rule has that name"),
        ("No_Name", "theirs:good", "small letters"),
        ("gone", "nowhere_to_be_found:good", "ModuleNotFoundError"),
        ("gone", "theirs:gone", "AttributeError"),
        ("number", "theirs:NUMBER", "neither a function nor an object with `mask`"),
        ("odd", "theirs:Odd", "'sunrise' is not a valid Kind"),
        ("broken", "broken:good", "SystemExit"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_rest_is_found(
    install: Install, name: str, value: str, words: str
) -> None:
    """A log line says why; nothing else is lost by it."""
    text = (
        "NUMBER = 5\ndef good(fleet, ask): return fleet.ready\nclass Odd:\n    wakes = ['sunrise']\n    mask = good\n"
    )
    points = {"pathfinder.filters": {name: value, "good": "theirs:good"}}
    install("theirs", points, {"theirs": text, "broken": "raise SystemExit(1)\n"})

    with capture_logs() as lines:
        rules = discovered()

    assert rules.filters.keys() - FILTERS.keys() == {"good"}
    assert {name: FILTERS[name] for name in FILTERS} == {name: rules.filters[name] for name in FILTERS}
    (refused,) = (line for line in lines if line["event"] == "plugin refused")
    assert words in refused["reason"]


def test_what_two_packages_offer_is_neithers(install: Install) -> None:
    """Which one would count might depend on what was installed first."""
    for name in ("first", "second"):
        module = f"{name}_rules"
        install(
            name, {"pathfinder.scorers": {"same": f"{module}:it"}}, {module: "def it(fleet, ask): return fleet.ready\n"}
        )

    assert discovered().scorers.keys() == SCORERS.keys()
