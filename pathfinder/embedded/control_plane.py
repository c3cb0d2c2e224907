"""What `up` and the lab ask of the HTTP API they started. Everybody else uses `pathfinder.client`, which is async."""

from typing import Any

import httpx2

_TIMEOUT_SECONDS = 5.0
#: Where an API that listens everywhere is reached from this machine.
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  names it, does not bind it


class ControlPlane:
    """The API at one address, with one bearer token."""

    def __init__(self, server: str, token: str = "") -> None:
        self.server, self.token = server, token

    def is_ready(self) -> bool:
        """Whether its parts answer: `GET /readyz`."""
        try:
            return self._send("GET", "/readyz").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def accepts_token(self) -> bool:
        """Whether the token is still known; it is not after the database was replaced."""
        return bool(self.token) and self._send("GET", "/api/v3/clusters").status_code == httpx2.codes.OK

    def has_ready_node(self, name: str) -> bool:
        """Whether that node of the cluster `default` holds its lease."""
        response = self._send("GET", f"/api/v3/nodes/{name}?cluster=default")
        return response.status_code == httpx2.codes.OK and response.json()["status"] == "READY"

    def cluster_ids(self) -> list[str]:
        """The id of every cluster."""
        response = self._send("GET", "/api/v3/clusters")
        response.raise_for_status()
        items: list[dict[str, Any]] = response.json()["items"]
        return [str(item["id"]) for item in items]

    def set_default_image(self, image: str) -> None:
        """The image containers of the cluster `default` get when they name none."""
        self._send("PATCH", "/api/v3/clusters/default", {"default_image": image}).raise_for_status()

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
        # No proxy stands between two programs of one machine, whatever the environment says.
        with httpx2.Client(base_url=self.server, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=False) as client:
            return client.request(method, path, json=body, headers={"Authorization": f"Bearer {self.token}"})


def url_of(listen: str) -> str:
    """The URL of the first of the addresses (`HOST:PORT`, separated by commas) the api role listens on. Pure."""
    host, _, port = listen.split(",")[0].strip().rpartition(":")
    return f"http://{_ANYWHERE.get(host, host)}:{port}"
