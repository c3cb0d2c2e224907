"""Removes from LXD what Pathfinder made there, and nothing else."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from pathfinder.embedded.home import Home
from pathfinder.embedded.image import IMAGES_KEY
from pathfinder.embedded.lxd import MADE_KEY, ensure_lxd
from pathfinder.embedded.lxd_client import LxdClient, LxdRefused, connect
from pathfinder.embedded.supervisor import wait_until
from pathfinder.runtime.lxd_order import MARK_CLUSTER

#: Ids of this home's clusters; another Pathfinder may use the same LXD.
CLUSTERS_KEY = "clusters"
REMOVE_SECONDS = 60.0
#: Whether an LXD was ever used; where the node is simulated there is nothing to remove.
USED_KEY = "lxd.used"


def remove_ours(home: Home) -> str:
    """Remove this home's containers, and images, pool and bridge if it made them; what was done, in words."""
    with connect(ensure_lxd(home)) as lxd:  # which may have to make a pool or a bridge first
        made: dict[str, str] = home.recall(MADE_KEY) or {}
        count = _remove_containers(lxd, set(home.recall(CLUSTERS_KEY) or ()))
        images = remove_images(lxd, home.recall(IMAGES_KEY) or ())
        _remove_setup(lxd, made)
    for key in (MADE_KEY, CLUSTERS_KEY, USED_KEY, IMAGES_KEY):
        home.remember(key, None)
    return f"{count} containers, {images} images" + "".join(f", the {what} {name}" for what, name in made.items())


def _remove_containers(lxd: LxdClient, clusters: set[str]) -> int:
    ours = [each for each in lxd.get("instances?recursion=1") if each["config"].get(MARK_CLUSTER) in clusters]
    for instance in ours:
        path = f"instances/{instance['name']}"
        wait_until(f"the end of {path}", partial(_removed, lxd, path), REMOVE_SECONDS)
    return len(ours)


def _removed(lxd: LxdClient, path: str) -> bool:
    # An LXD that was just started starts its containers again, so one may begin to run at any moment.
    with suppress(LxdRefused):
        lxd.call("PUT", f"{path}/state", {"action": "stop", "force": True, "timeout": 30})
    with suppress(LxdRefused):
        lxd.call("DELETE", path)
    return not lxd.exists(path)


def remove_images(lxd: LxdClient, fingerprints: Iterable[str]) -> int:
    """Remove those of the images that are still there, whatever names them now; how many."""
    there = [each for each in fingerprints if lxd.exists(f"images/{each}")]
    for fingerprint in there:
        lxd.call("DELETE", f"images/{fingerprint}")
    return len(there)


def _remove_setup(lxd: LxdClient, made: dict[str, str]) -> None:
    """Take pool and bridge away, unless somebody else uses them by now."""
    profile = lxd.get("profiles/default")
    ours = set(made.values())
    kept = {
        name: each for name, each in profile["devices"].items() if not {each.get("pool"), each.get("network")} & ours
    }
    if kept != profile["devices"] and not profile["used_by"]:
        lxd.call("PUT", "profiles/default", profile | {"devices": kept})
    for path in (f"networks/{made.get('bridge')}", f"storage-pools/{made.get('pool')}"):
        if lxd.exists(path) and not lxd.get(path)["used_by"]:
            lxd.call("DELETE", path)
