"""`pfi get`: the tables, the other outputs, and names that are not there."""

import json

import httpx2
import pytest
import yaml
from fake_api import FakeApi, Pfi, container, ended, event, found, node, page, problem


def test_containers_have_the_columns_pathfinder_users_know(api: FakeApi, pfi: Pfi) -> None:
    """The header is a promise to scripts; a container without a node or an address shows a dash."""
    waiting = container("web-02", node=None, ipaddress=None, status="PENDING")
    api.on("GET", "/containers", page(container("web-01"), waiting))

    assert pfi("get", "containers").lines == [
        "HOSTNAME   IPADDRESS   IMAGE          NODE      STATUS",
        "web-01     10.0.0.5    ubuntu:26.04   node-01   PROVISIONED",
        "web-02     -           ubuntu:26.04   -         PENDING",
    ]


def test_nodes_have_the_columns_pathfinder_users_know(api: FakeApi, pfi: Pfi) -> None:
    """Moments are on the reader's clock, which is UTC here."""
    api.on("GET", "/nodes", page(node()))

    assert pfi("get", "nodes").lines == [
        "HOSTNAME   IPADDRESS       CREATED AT",
        "node-01    192.168.33.33   2026-11-23 20:30:05",
    ]


def test_what_runs_on_a_simulated_node_says_so(api: FakeApi, pfi: Pfi) -> None:
    """Nobody may take a simulation for the real thing."""
    api.on("GET", "/nodes", page(node(simulated=True)))
    api.on("GET", "/containers", page(container(simulated=True)))

    assert pfi("get", "nodes").lines[1].startswith("node-01 SIMULATED   ")
    assert "   node-01 SIMULATED   PROVISIONED" in pfi("get", "containers").lines[1]


def test_wide_adds_columns_to_the_right(api: FakeApi, pfi: Pfi) -> None:
    """The first columns stay where they are."""
    api.on("GET", "/nodes", page(node(schedulable=False)))

    header, row = pfi("get", "nodes", "-o", "wide").lines

    assert header.split("   ")[0] == "HOSTNAME"
    assert header.split()[:6] == ["HOSTNAME", "IPADDRESS", "CREATED", "AT", "AGE", "STATUS"]
    assert "READY,CORDONED" in row
    assert "0.5/4" in row
    assert "512MiB/8GiB" in row


def test_an_empty_list_is_a_header_and_a_note_beside_it(api: FakeApi, pfi: Pfi) -> None:
    """Scripts get the table they expect, people the reason."""
    api.on("GET", "/containers", page())

    ran = pfi("get", "containers")

    assert (ran.code, ran.lines, ran.err) == (
        0,
        ["HOSTNAME   IPADDRESS   IMAGE   NODE   STATUS"],
        "no containers here\n",
    )


def test_json_is_a_list_and_one_name_is_one_object(api: FakeApi, pfi: Pfi) -> None:
    """What a script asks for decides the shape, not how many there happen to be."""
    api.on("GET", "/containers", page(container()))
    api.on("GET", "/containers/web-01", found(container()))

    assert json.loads(pfi("get", "containers", "-o", "json").out) == [container()]
    assert json.loads(pfi("get", "containers", "web-01", "-o", "json").out) == container()
    assert yaml.safe_load(pfi("get", "containers", "web-01", "-o", "yaml").out) == container()


def test_names_are_bare_to_be_piped_into_the_next_command(api: FakeApi, pfi: Pfi) -> None:
    """pfi get containers -o name | xargs pfi delete container"""
    api.on("GET", "/containers", page(container("web-01"), container("web-02")))

    assert pfi("get", "containers", "-o", "name").out == "web-01\nweb-02\n"


def test_a_missing_name_does_not_hide_the_others(api: FakeApi, pfi: Pfi) -> None:
    """What is there is shown, what is not is reported, and the exit code says that not all went well."""
    api.on("GET", "/containers/web-01", found(container()))
    api.on("GET", "/containers/web-02", problem(404, "There is no container named 'web-02'."))

    ran = pfi("get", "containers", "web-02", "web-01")

    assert ran.code == 1
    assert ran.lines[1].startswith("web-01")
    assert ran.err == "error: There is no container named 'web-02'.\n"


def test_filters_are_the_servers_to_apply(api: FakeApi, pfi: Pfi) -> None:
    """Each flag becomes its query parameter; a status may be written small."""
    api.on("GET", "/containers", page())

    pfi("get", "containers", "--status", "pending", "--node", "node-01", "-l", "tier=web", "--prefix", "web-")

    params = api.requests[0].url.params
    assert [params[key] for key in ("status", "node", "label", "prefix")] == ["PENDING", "node-01", "tier=web", "web-"]


def test_names_and_filters_do_not_go_together(pfi: Pfi) -> None:
    """Half an answer to each would be wrong to both."""
    assert pfi("get", "containers", "web-01", "--status", "PENDING").code == 2


def test_text_from_elsewhere_cannot_command_the_terminal(api: FakeApi, pfi: Pfi) -> None:
    """A reason that LXD gives may hold anything."""
    api.on("GET", "/containers", page(container(message="no\x1b[2J space\nleft")))

    assert "no\\x1b[2J space left" in pfi("get", "containers", "-o", "wide").out


def test_events_are_listed_with_what_they_say(api: FakeApi, pfi: Pfi) -> None:
    """The last hour unless told otherwise."""
    api.on("GET", "/events", page(event(1, "container.provision_failed", reason="No space left.")))

    _, row = pfi("get", "events").lines

    assert row.split(maxsplit=5) == [
        "2026-11-23", "20:30:05", "container.provision_failed", "web-01", "node-01", "No space left.",
    ]  # fmt: skip
    assert api.requests[0].url.params["since"] == "3600s"


@pytest.mark.parametrize("output", ["table", "json"])
def test_watching_appends_what_changed_and_only_that(api: FakeApi, pfi: Pfi, output: str) -> None:
    """Into a pipe: the list as it is, then each change; an item that is as it was is not repeated."""
    stop = problem(401, "Enough.")
    events = [event(1, "container.progress"), event(2, "container.provisioned"), event(3, "container.provisioned")]
    api.on("GET", "/events/stream", ended(*events, event(4, "container.deleted")), stop)
    api.on("GET", "/containers", page(container(status="SCHEDULED")))
    running = found(container())
    api.on("GET", "/containers/web-01", running, found(container()), problem(404, "It is gone."))

    ran = pfi("get", "containers", "--watch", "-o", output)

    lines = [line for line in ran.lines if "HOSTNAME" not in line]
    statuses = [json.loads(line)["status"] if output == "json" else line.split()[-1] for line in lines]
    assert statuses == ["SCHEDULED", "PROVISIONED", "DELETED"]


def test_watching_reads_the_list_again_after_a_lost_connection(api: FakeApi, pfi: Pfi) -> None:
    """What changed while nobody listened shows, without an event."""
    api.on("GET", "/events/stream", ended(), ended(), problem(401, "Enough."))
    api.on("GET", "/containers", page(container(), container("web-02")), page(container(status="LOST")))

    ran = pfi("get", "containers", "--watch")

    assert [line.split()[0] + " " + line.split()[-1] for line in ran.lines[1:]] == [
        "web-01 PROVISIONED", "web-02 PROVISIONED", "web-02 DELETED", "web-01 LOST",
    ]  # fmt: skip
    assert ran.err.count("lost the connection") == 2
    assert ran.err.count("connected again") == 1


def test_an_unreachable_server_is_exit_code_three(api: FakeApi, pfi: Pfi) -> None:
    """And the message names the server and what to do."""
    api.on("GET", "/nodes", httpx2.ConnectError("refused"))

    ran = pfi("--server", "http://nowhere:1", "get", "nodes")

    assert ran.code == 3
    assert ran.err.startswith("error: cannot reach http://nowhere:1: refused\nhint: start it with: pathfinder up\n")
