"""`pfi` and a server with too much to do."""

import httpx2
from fake_api import FakeApi, Pfi, container, found, problem


def overloaded() -> httpx2.Response:
    """A refusal that ends soon."""
    answer = problem(503, "Too much work is waiting already.")
    document = answer.json() | {"type": "/problems/overloaded"}
    return httpx2.Response(503, json=document, headers={"Retry-After": "0"})


def test_a_create_waits_and_says_so_once(pfi: Pfi, api: FakeApi) -> None:
    """On stderr; the outcome is the usual one."""
    api.on("POST", "/containers", overloaded(), overloaded(), overloaded(), found(container(), 201))

    ran = pfi("create", "container", "web-01")

    assert ran.code == 0
    assert ran.err.count("too much work waiting") == 1
    assert len(api.requests) == 4


def test_a_create_that_is_not_to_wait_does_not(pfi: Pfi, api: FakeApi) -> None:
    """Exit code 5 tells a script that later may do."""
    api.on("POST", "/containers", overloaded(), found(container(), 201))

    ran = pfi("create", "container", "web-01", "--no-retry")

    assert ran.code == 5
    assert "Too much work is waiting already." in ran.err
    assert len(api.requests) == 1


def test_a_server_without_its_database_is_unavailable(pfi: Pfi, api: FakeApi) -> None:
    """After the usual tries."""
    api.on("GET", "/containers", problem(503, "PostgreSQL does not answer."))

    assert pfi("get", "containers").code == 5
