"""Webhooks of the API."""

from collections.abc import AsyncGenerator, Sequence

from pathfinder.client.connection import segment
from pathfinder.client.nouns import Noun
from pathfinder.domain.views import NewWebhook, Tested, Webhook


class Webhooks(Noun):
    """All webhooks of a server; they belong to no cluster."""

    def list(self) -> AsyncGenerator[Webhook, None]:
        """Every webhook."""
        return self._pages(Webhook, "/webhooks", [])

    async def get(self, name: str) -> Webhook:
        """One webhook by its name."""
        return await self._connection.ask(Webhook, "GET", _path(name))

    async def create(
        self, name: str, url: str, *, form: str = "json", secret: str | None = None, kinds: Sequence[str] = ()
    ) -> NewWebhook:
        """Make a webhook. Not repeated on its own: only its own answer has a secret that the server made."""
        body: dict[str, object] = {"name": name, "url": url, "format": form, "kinds": list(kinds)}
        if secret is not None:
            body["secret"] = secret
        return await self._connection.ask(NewWebhook, "POST", "/webhooks", body=body)

    async def delete(self, name: str) -> None:
        """Forget a webhook."""
        await self._connection.request("DELETE", _path(name))

    async def test(self, name: str) -> Tested:
        """Send a test to a webhook; what its receiver said."""
        return await self._connection.ask(Tested, "POST", f"{_path(name)}/test")


def _path(name: str) -> str:
    return f"/webhooks/{segment(name)}"
