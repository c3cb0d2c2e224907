"""Which address counts, and how the kernel is asked for it before LXD is."""

from pathlib import Path

import pytest

from pathfinder.runtime.lxd_address import first_ipv4, kernel_shows_ipv4, wait_for_ipv4


def interface(address: str, *, host_name: str = "", scope: str = "global", family: str = "inet") -> dict[str, object]:
    """An interface as LXD's instance state shows it."""
    return {"host_name": host_name, "addresses": [{"family": family, "scope": scope, "address": address}]}


@pytest.mark.parametrize(
    ("network", "address"),
    [
        (None, None),
        ({"lo": interface("127.0.0.1", scope="local"), "eth0": interface("10.0.0.5", host_name="veth1")}, "10.0.0.5"),
        ({"docker0": interface("172.17.0.1"), "eth0": interface("10.0.0.5", host_name="veth1")}, "10.0.0.5"),
        ({"docker0": interface("172.17.0.1"), "eth0": interface("fd00::1", host_name="v", family="inet6")}, None),
        ({"eth0": interface("169.254.1.1", scope="link", host_name="veth1")}, None),
        ({"eth0": interface("192.0.2.7")}, "192.0.2.7"),  # macvlan: nothing has a host side
    ],
)
def test_the_address_is_one_that_leads_out_of_the_container(
    network: dict[str, object] | None, address: str | None
) -> None:
    assert first_ipv4({"network": network}) == address


def process(directory: Path, group: str, trie: str) -> Path:
    """A directory that looks like /proc/PID."""
    (directory / "net").mkdir()
    (directory / "cgroup").write_text(group)
    (directory / "net/fib_trie").write_text(trie)
    return directory


def local(address: str) -> str:
    """A local address as the kernel shows it."""
    return f"Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- {address}\n        /32 host LOCAL\n"


@pytest.mark.parametrize(("address", "shown"), [("10.0.0.5", True), ("127.0.0.1", False), ("169.254.3.4", False)])
def test_the_kernels_routing_table_tells_of_an_address(tmp_path: Path, address: str, shown: bool) -> None:
    assert kernel_shows_ipv4(process(tmp_path, "0::/lxc.payload.web-1\n", local(address)), "web-1") is shown


@pytest.mark.parametrize("group", ["0::/init.scope\n", "0::/lxc.payload.web-10/init.scope\n"])
def test_a_process_that_is_not_the_containers_tells_nothing(tmp_path: Path, group: str) -> None:
    """The agent may live in another process namespace than LXD; then equal numbers mean different processes."""
    assert kernel_shows_ipv4(process(tmp_path, group, local("10.0.0.5")), "web-1") is None
    assert kernel_shows_ipv4(tmp_path / "gone", "web-1") is None


async def test_where_the_kernel_cannot_be_asked_lxd_is_asked_again_and_again() -> None:
    addresses = iter([None, None, "10.0.0.5"])
    asked = 0

    async def read_state() -> dict[str, object]:
        nonlocal asked
        asked += 1
        address = next(addresses)
        network = {"eth0": interface(address, host_name="veth1")} if address else {}
        return {"status": "Running", "pid": -1, "network": network}

    assert await wait_for_ipv4(read_state, "web-1", 5) == "10.0.0.5"
    assert asked == 3
