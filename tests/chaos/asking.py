"""Asking the API until it answers: the same words, at another API each time, every try written down."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from chaos.ledger import Ledger, definite

#: Picks of an answer what the ledger keeps.
Pick = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Asking:
    """A way to the APIs. `pick` makes of an accepted answer what is written down and returned."""

    apis: Sequence[str]
    ledger: Ledger
    random: random.Random
    pick: Pick

    async def until_told(
        self,
        number: int | None,
        http: httpx2.AsyncClient,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Ask until there is a definite answer; None for a `number` where it is only looked at something."""
        attempt = self.random.randrange(len(self.apis))
        while True:
            url = f"{self.apis[attempt % len(self.apis)]}/api/v3{path}"
            status, said = await self._try(http, method, url, body, headers)
            if number is not None:
                self.ledger.told(number, status, said)
            if status is not None and definite(status):
                return status, said
            attempt += 1
            await asyncio.sleep(self.random.uniform(0.1, 1.0))

    async def _try(
        self, http: httpx2.AsyncClient, method: str, url: str, body: Any, headers: Mapping[str, str] | None
    ) -> tuple[int | None, Any]:
        try:
            answer = await http.request(method, url, json=body, headers=headers)
            document = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
        if not answer.is_success:
            return answer.status_code, str(document.get("detail", document))[:300]
        return answer.status_code, self.pick(document)
