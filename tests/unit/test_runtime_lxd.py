"""The parts of the LXD runtime that need no LXD."""

import asyncio
import socket as sockets
import time
from pathlib import Path

import pytest
import requests
from pylxd.exceptions import ClientConnectionFailed

from pathfinder.domain.instances import Fault, InstanceOrder
from pathfinder.domain.resources import Resources
from pathfinder.runtime import lxd_api, lxd_images
from pathfinder.runtime.lxd import LxdRuntime
from pathfinder.runtime.lxd_errors import Busy, from_sentence, translate
from pathfinder.runtime.lxd_facts import machine_id, memory_in_use
from pathfinder.runtime.lxd_images import not_found, percent, split
from pathfinder.runtime.lxd_order import expand, instance_config, limits, with_disk_size
from pathfinder.runtime.lxd_socket import find_socket
from pathfinder.runtime.port import (
    ImageNotFound,
    ImageServerUnreachable,
    InstanceExists,
    OperationFailed,
    Refused,
    RuntimeFailure,
    RuntimeUnreachable,
)


@pytest.mark.parametrize(
    ("sentence", "failure"),
    [
        (
            'Failed creating instance record: Add instance info to the database: This "instances" entry already exists',
            InstanceExists,
        ),
        ("Image alias not found", ImageNotFound),
        ("Image not provided for instance creation", ImageNotFound),
        (
            "Failed getting remote image info: Failed getting image: The requested image couldn't be found",
            ImageNotFound,
        ),
        (
            'Failed getting remote image info: Failed getting image: Failed parsing stream: Get "https://x/streams/v1/'
            'index.json": lookup x on 192.0.2.1:53: no such host',
            ImageServerUnreachable,
        ),
        ('Requested profile "zz" doesn\'t exist', Refused),
        ("Failed creating instance record: Unknown configuration key: foo.bar", Refused),
        ("Failed creating instance record: Invalid value: abc", Refused),
        ("Failed creating instance record: Invalid device type nope", Refused),
        ("Invalid instance name: Name can only contain alphanumeric and hyphen characters", Refused),
        ('Instance is busy running a "create" operation', Busy),
        ('Missing source path "/data" for disk "x"', OperationFailed),
        ("Failed creating instance from image: write /x: no space left on device", OperationFailed),
        ("A sentence nobody has seen yet", OperationFailed),
    ],
)
def test_lxds_sentence_decides_which_error_it_is(sentence: str, failure: type[RuntimeFailure]) -> None:
    translated = from_sentence(sentence)

    assert type(translated) is failure
    assert str(translated) == sentence


@pytest.mark.parametrize(
    "error", [requests.ReadTimeout("slow"), requests.ConnectionError("gone"), ClientConnectionFailed("refused")]
)
def test_a_daemon_that_cannot_be_talked_to_is_unreachable_and_the_nodes_fault(error: Exception) -> None:
    translated = translate(error)

    assert type(translated) is RuntimeUnreachable
    assert translated.fault is Fault.NODE


@pytest.mark.parametrize(
    ("millicores", "config"),
    [
        (0, {}),
        (1, {"limits.cpu": "1", "limits.cpu.allowance": "1ms/100ms"}),
        (500, {"limits.cpu": "1", "limits.cpu.allowance": "50ms/100ms"}),
        (1000, {"limits.cpu": "1"}),
        (1505, {"limits.cpu": "2", "limits.cpu.allowance": "151ms/100ms"}),
        (4000, {"limits.cpu": "4"}),
    ],
)
def test_millicores_become_whole_cores_and_a_share_of_time(millicores: int, config: dict[str, str]) -> None:
    assert limits(Resources(cpu_millicores=millicores)) == config


@pytest.mark.parametrize(("size", "written"), [(512 << 20, "512MiB"), (1 << 30, "1024MiB"), (1_000_001, "1000001B")])
def test_memory_is_written_exactly(size: int, written: str) -> None:
    assert limits(Resources(memory_bytes=size)) == {"limits.memory": written}


def test_an_order_cannot_overrule_the_limits_and_marks_pathfinder_accounts_by() -> None:
    order = InstanceOrder(
        hostname="web-1",
        container_id="c",
        generation=2,
        cluster_id="k",
        image="x",
        resources=Resources(memory_bytes=64 << 20),
        config={"limits.memory": "64GiB", "user.pathfinder.cluster": "other", "user.mine": "kept"},
    )

    config = instance_config(order)

    assert config["limits.memory"] == "64MiB"
    assert config["user.pathfinder.cluster"] == "k"
    assert config["user.mine"] == "kept"


def test_the_root_disk_of_the_last_profile_is_repeated_with_the_size() -> None:
    slow = {"root": {"type": "disk", "path": "/", "pool": "slow"}}
    fast = {"root": {"type": "disk", "path": "/", "pool": "fast"}}
    own = {"eth1": {"type": "nic"}}

    devices = with_disk_size(own, expand([slow, fast], own), 1 << 30)

    assert devices == {
        "eth1": {"type": "nic"},
        "root": {"type": "disk", "path": "/", "pool": "fast", "size": "1024MiB"},
    }


@pytest.mark.parametrize(
    ("image", "parts"),
    [("tiny", (None, "tiny")), ("local:tiny", ("local", "tiny")), ("ubuntu:26.04", ("ubuntu", "26.04"))],
)
def test_an_image_is_split_at_its_remote(image: str, parts: tuple[str | None, str]) -> None:
    assert split(image) == parts


@pytest.mark.parametrize(
    ("metadata", "done"),
    [
        ({"download_progress": "rootfs: 45% (12.30MB/s)"}, 45),
        ({"download_progress": "metadata: 100% (1.00GB/s)"}, 100),
        ({"download_progress": "rootfs: 12MB (3MB/s)"}, None),
        ({}, None),
    ],
)
def test_progress_is_read_from_an_operations_metadata(metadata: dict[str, str], done: int | None) -> None:
    assert percent(metadata, "download_progress") == done


def listening(path: Path) -> Path:
    """A Unix socket at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sockets.socket(sockets.AF_UNIX) as made:
        made.bind(str(path))
    return path


def test_a_named_socket_is_the_only_one_tried(tmp_path: Path) -> None:
    listening(tmp_path / "unix.socket")

    with pytest.raises(RuntimeUnreachable, match="elsewhere"):
        find_socket(tmp_path / "elsewhere", {"LXD_DIR": str(tmp_path)})


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_daemon_that_accepts_but_never_answers_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs_up: bool
) -> None:
    """The worst kind of dead: connecting succeeds."""
    monkeypatch.setattr(lxd_api, "CALL_SECONDS", 0.2)
    path = tmp_path / "unix.socket"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not hangs_up:
            await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    runtime = LxdRuntime(path)
    began = time.monotonic()

    with pytest.raises(RuntimeUnreachable):
        await runtime.facts()

    assert time.monotonic() - began < 2
    await runtime.close()
    server.close()


def test_lxd_dir_comes_before_the_known_places(tmp_path: Path) -> None:
    path = listening(tmp_path / "unix.socket")

    assert find_socket(None, {"LXD_DIR": str(tmp_path)}) == path


def test_every_place_tried_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tuple(tmp_path / name for name in ("debian", "snap", "incus"))
    monkeypatch.setattr("pathfinder.runtime.lxd_socket.KNOWN_SOCKETS", places)

    with pytest.raises(RuntimeUnreachable, match=r"debian.*snap.*incus"):
        find_socket(None, {})


def test_the_machine_id_tells_daemons_clones_and_cluster_members_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("aaaa\n")
    other.write_text("bbbb\n")
    daemon = {"certificate_fingerprint": "f1", "server_name": "n1"}

    ids = {
        machine_id(daemon, one),
        machine_id(daemon, other),
        machine_id(daemon, tmp_path / "absent"),
        machine_id(daemon | {"certificate_fingerprint": "f2"}, one),
        machine_id(daemon | {"server_name": "n2"}, one),
    }

    assert len(ids) == 5
    assert machine_id(daemon, one) == machine_id(dict(daemon), one)


def test_memory_in_use_is_what_new_work_cannot_have() -> None:
    assert memory_in_use("MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  600 kB\n") == 400 * 1024


async def test_an_image_server_that_swallows_packets_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    class Api:
        async def get(self, *path: str, params: object = None) -> object:
            return [] if path else {"config": {}}

    monkeypatch.setattr(lxd_images, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(asyncio, "open_connection", never)
    images = lxd_images.Images(Api())  # type: ignore[arg-type]

    with pytest.raises(ImageServerUnreachable, match=r"ubuntu:26\.04.*no answer within.*local:ALIAS"):
        await images.source("ubuntu:26.04")


def test_images_are_told_by_every_name_a_container_may_ask_for_them_by() -> None:
    """Its own aliases with and without `local:`; what was pulled, by its remote; the usual remote's without it too."""
    stored = [
        {"aliases": [{"name": "tiny"}], "cached": False},
        {"aliases": [], "cached": True, "update_source": {"server": "https://u", "alias": "26.04"}},
        {"aliases": [], "cached": True, "update_source": {"server": "https://i", "alias": "debian/13"}},
        {"aliases": [], "cached": True, "update_source": {"server": "https://nobody", "alias": "x"}},
        {"aliases": None, "cached": False, "update_source": None},
    ]

    assert lxd_images.names(stored, {"ubuntu": "https://u", "images": "https://i"}) == (
        *("26.04", "images:debian/13", "local:tiny", "tiny", "ubuntu:26.04"),
    )


@pytest.mark.parametrize(
    ("image", "fault"), [("local:tiny", Fault.NODE), ("tiny", Fault.NODE), ("ubuntu:tiny", Fault.REQUEST)]
)
def test_an_image_that_another_nodes_store_may_have_is_not_the_requests_fault(image: str, fault: Fault) -> None:
    """Without a remote it is looked for in the node's own store first."""
    assert not_found(image, {"server": "https://example.org"}).fault is fault
