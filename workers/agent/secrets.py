"""Secrets of the containers on this node: asked of the API when they are written into a file, and kept nowhere."""

from collections.abc import Sequence

import httpx2

from pathfinder import tls
from pathfinder.domain.bootstrapping import File
from pathfinder.runtime.port import RuntimeFailure
from pathfinder.settings import Settings
from workers.agent.admission import Membership

SECONDS = 10.0


class SecretsMissing(RuntimeFailure):
    """The API gives no secrets now, or has none of that name."""


class Secrets:
    """Where the values of files come from that name a secret. They travel over no queue."""

    def __init__(self, settings: Settings, membership: Membership) -> None:
        self._urls = [url.strip() for url in settings.api_url.split(",")]
        self._ca_file = settings.ca_file
        self._membership = membership

    async def filled(self, container_id: str, files: Sequence[File]) -> tuple[File, ...]:
        """The files with what the secrets of that container say in them. Raises SecretsMissing."""
        if all(file.secret is None for file in files):
            return tuple(files)
        values = await self._ask(container_id)
        if missing := [file.secret for file in files if file.secret and file.secret not in values]:
            raise SecretsMissing(f"There is no secret {missing[0]!r}; `pfi secret list` lists those of the cluster.")
        return tuple(
            file.model_copy(update={"content": values[file.secret], "secret": None}) if file.secret else file
            for file in files
        )

    async def _ask(self, container_id: str) -> dict[str, str]:
        reason = "no API answers"
        for url in self._urls:
            verify = tls.verifying(url, self._ca_file)
            try:
                async with httpx2.AsyncClient(base_url=url, timeout=SECONDS, verify=verify) as client:
                    answer = await client.get(
                        f"/api/v3/nodes/secrets/{container_id}",
                        headers={"Authorization": f"Bearer {self._membership.now.token}"},
                    )
                if answer.is_success:
                    found: dict[str, str] = answer.json()["values"]
                    return found
                reason = str(answer.json().get("detail", answer.status_code))
            except (httpx2.HTTPError, ValueError, KeyError) as error:
                reason = tls.words(error)
        raise SecretsMissing(f"The secrets of this container cannot be had: {reason}")
