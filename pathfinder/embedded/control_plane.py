"""What `up` and the lab ask of the HTTP API they started. Everybody else uses `pathfinder.client`, which is async."""

from pathlib import Path
from typing import Any

import httpx2

from pathfinder import tls
from pathfinder.embedded.errors import NotReady

#: The cluster of a Pathfinder that was told no other.
CLUSTER = "default"
_TIMEOUT_SECONDS = 5.0
#: Where an API that listens everywhere is reached from this machine.
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  names it, does not bind it


class ControlPlane:
    """The API at one address, with one bearer token, asked about one cluster.

    `ca_file` has the authorities it is trusted by; empty: this system's.
    """

    def __init__(self, server: str, token: str = "", cluster: str = CLUSTER, ca_file: str = "") -> None:
        self.server, self.token, self.cluster, self.ca_file = server, token, cluster, ca_file
        self._refusal: tls.Refusal | None = None

    def is_ready(self) -> bool:
        """Whether its parts answer: `GET /readyz`."""
        return self._finds("/readyz") is not None

    def becomes_ready(self) -> bool:
        """The same, to wait for it. Raises NotReady where that is of no use: its certificate is not good."""
        ready = self.is_ready()
        if self._refusal:
            raise NotReady(f"The API at {self.server} cannot be reached: {self._refusal}.")
        return ready

    def accepts_token(self) -> bool:
        """Whether the token is still known; it is not after the database was replaced."""
        return bool(self.token) and self._finds("/api/v3/clusters") is not None

    def has_ready_node(self, name: str) -> bool:
        """Whether that node of the cluster holds its lease."""
        node = self._finds(f"/api/v3/nodes/{name}?cluster={self.cluster}")
        return node is not None and node["status"] == "READY"

    def cluster_ids(self) -> list[str]:
        """The id of every cluster."""
        clusters = self._finds("/api/v3/clusters")
        if clusters is None:
            raise NotReady(f"The API at {self.server} does not tell its clusters.")
        return [str(item["id"]) for item in clusters["items"]]

    def container(self, hostname: str) -> Any:
        """The container of that name that lives in the cluster; None if there is none."""
        answer = self._send("GET", f"/api/v3/containers/{hostname}?cluster={self.cluster}")
        if answer is None or answer.status_code not in (httpx2.codes.OK, httpx2.codes.NOT_FOUND):
            raise NotReady(f"The API at {self.server} does not tell of the container {hostname}.")
        return answer.json() if answer.status_code == httpx2.codes.OK else None

    def default_image(self) -> str:
        """The image containers of the cluster get when they name none."""
        cluster = self._finds(f"/api/v3/clusters/{self.cluster}")
        if cluster is None:
            raise NotReady(f"The API at {self.server} does not tell of the cluster {self.cluster}.")
        return str(cluster["default_image"])

    def set_default_image(self, image: str) -> None:
        """Change it."""
        answer = self._send("PATCH", f"/api/v3/clusters/{self.cluster}", {"default_image": image})
        if answer is None or answer.status_code != httpx2.codes.OK:
            raise NotReady(f"The API at {self.server} did not take {image!r} as default image.")

    def _finds(self, path: str) -> Any:
        """The document at `path`; None if there is none, or nobody answers."""
        response = self._send("GET", path)
        return response.json() if response is not None and response.status_code == httpx2.codes.OK else None

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response | None:
        verify = tls.verifying(self.server, Path(self.ca_file) if self.ca_file else None)
        # No proxy stands between two programs of one machine, whatever the environment says.
        with httpx2.Client(base_url=self.server, timeout=_TIMEOUT_SECONDS, trust_env=False, verify=verify) as client:
            try:
                return client.request(method, path, json=body, headers={"Authorization": f"Bearer {self.token}"})
            except httpx2.TransportError as error:
                self._refusal = tls.refusal(error)
                return None  # not up yet, or just restarted


def url_of(listen: str, *, secure: bool = False) -> str:
    """The URL of the first of the addresses (`HOST:PORT`, separated by commas) the api role listens on. Pure."""
    host, _, port = listen.split(",")[0].strip().rpartition(":")
    return f"http{'s' if secure else ''}://{_ANYWHERE.get(host, host)}:{port}"
