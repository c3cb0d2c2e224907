"""The API against its own OpenAPI document: whatever is sent, the answer is one that is written there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.meta import TestPhase as Phase
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from workbench import EMPTY, registration, serving

from api.app import create_app
from api.tail import Tail
from pathfinder.bootstrap import Process
from pathfinder.domain.specs import ContainerSpec
from pathfinder.settings import Settings
from pathfinder.store import clusters, nodes, tokens
from pathfinder.store import requests as wishes
from pathfinder.store.database import Database

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _document() -> dict[str, object]:
    process = Process(Settings())
    return create_app(process, Tail(process)).openapi()


#: Only what the stream refuses has an end: see below.
STREAM = "/api/v3/events/stream"
#: Routes that want no token, and those that want one of a node.
OPEN = ("/healthz", "/readyz", "/metrics", "/api/v3/version", "/api/v3/sso", "/api/v3/sso/session")
JOINING = ("/api/v3/nodes/register", "/api/v3/nodes/heartbeat")
#: What everybody asks who wants to know who they are, or to be somebody.
SESSION = "/api/v3/session"

#: Their bodies are made of those of POST /containers and PUT /deployments/{name}, whose every bound is tried there.
MADE_OF_OTHERS = (
    "/api/v3/containers/batch",
    "/api/v3/plans/create",
    "/api/v3/deployments/batch",
    "/api/v3/deployments/plan",
)

DOCUMENT = _document()
CONFIG = schemathesis.Config.from_dict(
    {"operations": [{"include-path": path, "phases": {"coverage": {"enabled": False}}} for path in MADE_OF_OTHERS]}
)
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG).exclude(path=STREAM)


@pytest.fixture(scope="module")
async def secret(fresh_url: str) -> str:
    """An operator's token, on a database with a node and a container under names that examples may hit."""
    database = Database(fresh_url)
    async with database.begin() as tx:
        await tx.execute(EMPTY)
        await clusters.create(tx, "default", "spread", "local:tiny", "test", "")
        cluster = await clusters.find(tx, "default")
        await nodes.register(tx, cluster.id, registration("0a"), 60, "")
        await wishes.create(tx, cluster, [ContainerSpec(hostname="0a")], wishes.Asker("test", ""), None)
        made = await tokens.create(tx, "tester", "operator")
    await database.close()
    return made


@dataclass
class Everybody:
    """Tokens of all that people may be."""

    admin: str
    in_turn: Iterator[str]

    def ask(self, case: schemathesis.Case) -> str:
        """Whose token to send: of those that try every bound an admin's, for others are refused before anybody looks at
        the body; of the others that of each role in turn.
        """
        tries_bounds = case.meta is not None and case.meta.phase.name == Phase.COVERAGE
        return self.admin if tries_bounds else next(self.in_turn)


@pytest.fixture(scope="module")
async def everybody(secret: str, fresh_url: str) -> Everybody:
    """A token of each of people's roles."""
    database = Database(fresh_url)
    async with database.begin() as tx:
        viewer, admin = [await tokens.create(tx, role, role) for role in ("viewer", "admin")]
    await database.close()
    return Everybody(admin, cycle([viewer, secret, admin]))


@pytest.fixture(scope="module")
async def joining(secret: str, fresh_url: str) -> str:
    """A token that only registers nodes."""
    database = Database(fresh_url)
    async with database.begin() as tx:
        made = await tokens.create(tx, "joiner", "join")
    await database.close()
    return made


@pytest.fixture(scope="module")
def session(
    secret: str, fresh_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, requests.Session]]:
    """A running API, and a session that asks it as an operator."""
    log = tmp_path_factory.mktemp("api") / "log"
    with serving(fresh_url, broker_url, log, "api") as (url, _), requests.Session() as made:
        made.headers["Authorization"] = f"Bearer {secret}"
        made.trust_env = False
        deadline = time.monotonic() + 40
        while made.get(f"{url}/readyz", timeout=5).status_code != 200:
            assert time.monotonic() < deadline, log.read_text()
        yield url, made


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_the_document_promises(
    case: schemathesis.Case, session: tuple[str, requests.Session], everybody: Everybody
) -> None:
    """Whoever asks. No 500, no undocumented status, media type or shape, for good and for bad input alike."""
    url, asking = session
    headers = {"Authorization": f"Bearer {everybody.ask(case)}"}
    case.call_and_validate(base_url=url, session=asking, headers=headers, checks=CHECKS, timeout=60)


def _guarded() -> list[tuple[str, str]]:
    """Method and path of each operation that wants a token."""
    paths = DOCUMENT["paths"]
    assert isinstance(paths, dict)
    return [
        (method, path) for path, operations in paths.items() if path not in (*OPEN, SESSION) for method in operations
    ]


@pytest.mark.parametrize(("method", "path"), _guarded())
def test_whoever_may_not_ask_is_refused_as_the_document_promises(
    session: tuple[str, requests.Session], secret: str, joining: str, method: str, path: str
) -> None:
    """Every route, the stream too: 401 without a token and with a wrong one, 403 with one that is for other routes."""
    url, _ = session
    address = url + path.replace("{id}", "1").replace("{hostname}", "0a").replace("{name}", "default")
    other = secret if path in JOINING else joining
    for token, status in ((None, 401), ("wrong", 401), (other, 403)):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = requests.request(method, address, json={}, headers=headers, timeout=10, proxies={"http": ""})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert str(status) in _answers(method, path)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("cluster=ghost", 404),
        ("cursor=x", 422),
        ("since=yesterday", 422),
        ("subject=x", 422),
        (f"kind={'&kind='.join('x' * 40)}", 422),
        (f"node={'x' * 64}", 422),
    ],
)
def test_what_the_stream_refuses_is_documented(session: tuple[str, requests.Session], query: str, status: int) -> None:
    """It is refused before it streams, with a problem document and a status that the document has."""
    url, asking = session
    answer = asking.get(f"{url}{STREAM}?{query}", timeout=10)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert str(status) in _answers("get", STREAM)


def _answers(method: str, path: str) -> dict[str, object]:
    """The answers of an operation that are documented."""
    paths = DOCUMENT["paths"]
    assert isinstance(paths, dict)
    found: dict[str, object] = paths[path][method]["responses"]
    return found


def test_the_document_covers_every_route() -> None:
    """What is tested is all there is; the stream has tests of its own."""
    paths = DOCUMENT["paths"]
    assert isinstance(paths, dict)
    assert len(paths) >= 15
    assert "/api/v3/events/stream" in paths
