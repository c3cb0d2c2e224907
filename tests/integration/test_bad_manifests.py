"""Files that cannot be applied, through `pfi` and the API to the store: what to do is told, and nothing is changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from workbench import Fleet, MakeProcess

import api.serve
from pathfinder.cli.pfi.app import start
from pathfinder.embedded.ports import free_port
from pathfinder.store import tokens


def reads(other: str) -> str:
    """A template that reads the addresses of another deployment."""
    return f'environment: {{OTHERS: "$pf-meta:deployment_ip_addresses?deployment_name={other}"}}'


THERE = f"""\
kind: Cluster
name: default
quota: {{containers: 8}}
---
kind: Deployment
name: db
replicas: 2
template: {{memory: 64MiB}}
---
kind: Deployment
name: shop
template: {{{reads("db")}}}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


def deployment(name: str = "web", template: str = "", more: str = "") -> str:
    """A document in as few lines as it can have: its template is in the third."""
    return f"kind: Deployment\nname: {name}\ntemplate: {{{template}}}\n{more}"


#: A file, the line that is told, if the mistake is in one, and what is said of it.
WRONG: list[tuple[str, int | None, str]] = [
    (
        deployment("web", reads("tail")) + "---\n" + deployment("tail", reads("web")),
        3,
        "web reads tail reads web",
    ),
    (deployment("db", reads("shop")), 3, "goes round in a circle: db reads shop reads db"),
    (deployment("web", reads("nobody")), 3, "there is no deployment 'nobody' in 'default'"),
    (deployment("web", "cpu: $pf-meta:cores"), 3, "there is no $pf-meta: function 'cores'; there are passthrough"),
    (deployment(more="autoscaling: {min: 5, max: 2, metrics: [{type: load, target: 1}]}"), 4, "min is 5, which is"),
    (
        deployment(more="autoscaling: {max: 2, metrics: [{type: http, url: 'file:///x', target_value: 1}]}"),
        4,
        "is not a web address; write one like",
    ),
    (deployment(template="memory: 1TiB"), 3, "the largest has 8GiB"),
    (deployment(more="replicas: 9"), None, "raise the quota: pfi update cluster default --quota-containers"),
    (
        deployment("one", more="replicas: 5\n---\n") + deployment("two", more="replicas: 5"),
        None,
        "containers: 0 of 8 used, 10 more asked for",
    ),
    (deployment("a" * 61), 2, "is too long once replicas are numbered"),
    (deployment("a" * 60, more="replicas: 100"), 2, "is too long once replicas are numbered"),
    (
        deployment("a" * 60, more="autoscaling: {max: 100, metrics: [{type: load, target: 1}]}"),
        1,
        "name is too long for autoscaling.max",
    ),
    (deployment(more="replicas: 10000"), 4, "less than or equal to 9999"),
    (BOMB, 6, "it has more than 100000 parts, with its aliases"),
    (f"kind: Deployment\nname: {'[' * 100}{']' * 100}\n", 2, "nested"),
    (deployment() + "# " + "x" * (1 << 20), None, "1 MiB"),
]

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def pfi(
    make_process: MakeProcess,
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:
    """Run `pfi` against an API that serves: its exit code, and what it complained of."""
    port = free_port(26400)
    process = make_process(api_listen=f"127.0.0.1:{port}")
    async with process.database.begin() as tx:
        monkeypatch.setenv("PFI_TOKEN", await tokens.create(tx, "tester", "operator"))
    monkeypatch.setenv("PFI_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("PFI_SERVER", f"http://127.0.0.1:{port}")
    await fleet.node("node-1")
    running = asyncio.create_task(api.serve.run(process))

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(start, list(arguments))
        return code, capsys.readouterr().err

    yield run
    process.stopping.set()
    await running


async def contents(fleet: Fleet) -> list[tuple[object, ...]]:
    """All that applying writes, as it is, and how much there is of what follows from it."""
    return [
        *await fleet.rows("SELECT name, version, replicas, revision, document::text FROM deployments ORDER BY name"),
        *await fleet.rows("SELECT name, quota::text, policy FROM clusters ORDER BY name"),
        *await fleet.rows(
            "SELECT (SELECT count(*) FROM revisions), (SELECT count(*) FROM containers), (SELECT count(*) FROM events),"
            " (SELECT count(*) FROM outbox), (SELECT count(*) FROM policies)"
        ),
    ]


@pytest.fixture
async def there(pfi: Run, fleet: Fleet, tmp_path: Path) -> list[tuple[object, ...]]:
    """What is declared already."""
    (tmp_path / "there.yaml").write_text(THERE)
    assert await pfi("apply", "-f", str(tmp_path / "there.yaml")) == (0, "")
    return await contents(fleet)


async def test_a_file_that_cannot_be_applied_says_what_to_do_and_changes_nothing(
    pfi: Run, fleet: Fleet, tmp_path: Path, there: list[tuple[object, ...]]
) -> None:
    """Applied or planned, with exit code 1 and the line."""
    file = tmp_path / "fleet.yaml"
    for text, line, words in WRONG:
        file.write_text(text)
        for verb in ("plan", "apply"):
            code, told = await pfi(verb, "-f", str(file))
            assert (code, words in told) == (1, True), (text[:200], code, told)
            assert line is None or f"fleet.yaml:{line}: " in told, told
            assert await contents(fleet) == there


async def test_a_number_that_cannot_be_is_refused_too(pfi: Run, fleet: Fleet, there: list[tuple[object, ...]]) -> None:
    """As in a file, but where the command line alone tells that it is wrong: then the exit code is 2."""
    for replicas, expected, words in (("9", 1, "quota"), ("10000", 1, "9999"), ("-1", 2, "0")):
        code, told = await pfi("scale", "deployment", "db", "--replicas", replicas)
        assert (code, words in told) == (expected, True), (code, told)
    assert await contents(fleet) == there
