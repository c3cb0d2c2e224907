"""Where an image is: `[REMOTE:]ALIAS` becomes the `source` of LXD's request, or a clear reason why it cannot.

LXD is not asked blindly to pull: on its own it takes minutes to find that a server is out of reach.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pathfinder.runtime.lxd_api import Json, LxdApi
from pathfinder.runtime.lxd_errors import Absent
from pathfinder.runtime.port import ImageNotFound, ImageNotHere, ImageServerUnreachable

LOCAL = "local"
#: The remote an image without one is looked for on, once the node's own store does not have it.
DEFAULT_REMOTE = "ubuntu"
#: Image servers by the name `lxc` gives them; all speak simplestreams.
REMOTES: Mapping[str, str] = MappingProxyType(
    {
        "ubuntu": "https://cloud-images.ubuntu.com/releases",
        "images": "https://images.lxd.canonical.com",
    }
)
#: Longest an image server may take to accept a connection.
PROBE_SECONDS = 8.0

_FINGERPRINT = re.compile(r"[0-9a-f]{12,64}")
_PERCENT = re.compile(r"(\d{1,3})%")


class Images:
    """Finds images in a node's own store and on the known remotes."""

    def __init__(self, api: LxdApi, remotes: Mapping[str, str] = REMOTES) -> None:
        self._api = api
        self._remotes = remotes

    async def source(self, image: str) -> Json:
        """The `source` for LXD's request. Raises ImageNotFound, ImageServerUnreachable, RuntimeUnreachable."""
        remote, alias = split(image)
        if remote in (None, LOCAL) and (fingerprint := await self._in_store(alias)):
            return _stored(fingerprint)
        if remote == LOCAL:
            raise ImageNotHere(
                f"Image {alias!r} is not in this node's store. Build it there with `pathfinder image build`, "
                "import it with `lxc image import FILE --alias`, or name a remote like `ubuntu:26.04`."
            )
        return await self._on_remote(remote or DEFAULT_REMOTE, alias, image)

    async def names(self) -> tuple[str, ...]:
        """The images of the node's store, by every name a container may ask for them by. Raises RuntimeUnreachable."""
        return names(await self._api.get("images", params={"recursion": 1}), self._remotes)

    async def _on_remote(self, remote: str, alias: str, image: str) -> Json:
        server = self._remotes.get(remote)
        if server is None:
            known = ", ".join(sorted({LOCAL, *self._remotes}))
            raise ImageNotFound(f"Image {image!r} names a remote that is not known here; the remotes are {known}.")
        if fingerprint := await self._in_cache(server, alias):
            return _stored(fingerprint)
        await self._probe(server, image)
        return {"type": "image", "mode": "pull", "protocol": "simplestreams", "server": server, "alias": alias}

    async def _in_store(self, alias: str) -> str | None:
        try:
            entry = await self._api.get("images", "aliases", alias)
            return str(entry["target"])
        except (Absent, ImageNotFound):
            return await self._by_fingerprint(alias)

    async def _by_fingerprint(self, prefix: str) -> str | None:
        if not _FINGERPRINT.fullmatch(prefix):
            return None
        try:
            return str((await self._api.get("images", prefix))["fingerprint"])
        except (Absent, ImageNotFound):
            return None

    async def _in_cache(self, server: str, alias: str) -> str | None:
        """An image LXD pulled before and keeps fresh by itself.

        Using it saves asking the server each time, which LXD does, and works while the server is away.
        """
        for stored in await self._api.get("images", params={"recursion": 1}):
            origin: Json = stored.get("update_source") or {}
            if (
                stored["cached"]
                and stored["auto_update"]
                and (origin.get("server"), origin.get("alias")) == (server, alias)
            ):
                return str(stored["fingerprint"])
        return None

    async def _probe(self, server: str, image: str) -> None:
        if (await self._api.get())["config"].get("core.proxy_https"):
            return  # LXD goes through a proxy, so our own way to the server proves nothing
        address = urlsplit(server)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                _, writer = await asyncio.open_connection(address.hostname, address.port or 443)
        except (OSError, TimeoutError) as error:
            raise unreachable(image, server, str(error) or f"no answer within {PROBE_SECONDS:g} s") from error
        writer.close()


def names(stored: Iterable[Json], remotes: Mapping[str, str]) -> tuple[str, ...]:
    """The images of a node's store as containers name them: by alias, and by the remote they were pulled from."""
    found: set[str] = set()
    for image in stored:
        for alias in image.get("aliases") or ():
            found |= {alias["name"], f"{LOCAL}:{alias['name']}"}
        origin: Json = image.get("update_source") or {}
        if image.get("cached") and (alias := origin.get("alias")):
            known = [name for name, server in remotes.items() if server == origin.get("server")]
            found |= {f"{name}:{alias}" for name in known}
            found |= {str(alias)} if DEFAULT_REMOTE in known else set()
    return tuple(sorted(found))


def split(image: str) -> tuple[str | None, str]:
    """`[REMOTE:]ALIAS` as (remote or None, alias)."""
    remote, colon, alias = image.partition(":")
    return (remote, alias) if colon else (None, image)


def stored_alias(image: str) -> Json | None:
    """The `source` by which LXD itself looks for `image` in the node's own store; None where it may be elsewhere.

    It saves asking for the alias before each create. LXD says at once that it does not know an alias.
    """
    remote, alias = split(image)
    if remote not in (None, LOCAL) or _FINGERPRINT.fullmatch(alias):
        return None
    return {"type": "image", "alias": alias}


def not_found(image: str, source: Json) -> ImageNotFound:
    """The error for an image that LXD looked for at `source` in vain.

    Without a remote, it may be an alias of other nodes' stores that the usual remote does not know either.
    """
    kind = ImageNotHere if split(image)[0] in (None, LOCAL) else ImageNotFound
    place = source.get("server", "this node's store")
    return kind(
        f"Image {image!r} is not at {place}. Check its name, or use an image of the node: build one with "
        "`pathfinder image build` and ask for `--image local:ALIAS`."
    )


def unreachable(image: str, server: str, why: str) -> ImageServerUnreachable:
    """The error for an image whose server does not answer from this node."""
    return ImageServerUnreachable(
        f"Image {image!r} cannot be fetched: {server} does not answer from this node ({why}). Give the node a way "
        "there, or use an image of the node: `pathfinder image build`, then `--image local:ALIAS`."
    )


def percent(metadata: Mapping[str, Any], key: str) -> int | None:
    """Percent done from an operation's metadata, like `"download_progress": "rootfs: 45% (12.30MB/s)"`."""
    match = _PERCENT.search(str(metadata.get(key, "")))
    return min(int(match[1]), 100) if match else None


def _stored(fingerprint: str) -> Json:
    return {"type": "image", "fingerprint": fingerprint}
