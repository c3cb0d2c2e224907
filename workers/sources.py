"""Metrics that somebody else knows: a Prometheus, or any JSON over HTTP. Bounded in time and size."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import httpx2
import orjson
from jsonpointer import JsonPointer, JsonPointerException

from pathfinder.controllers.wishes import Level, Reading, Total, Unknown
from pathfinder.domain.autoscaling import HttpMetric, PrometheusMetric
from pathfinder.telemetry import METRIC_READS_FAILED

#: For each step of an answer, and for all answers of one look: who takes longer is not waited for.
STEP_SECONDS, WHOLE_SECONDS = 4.0, 6.0
#: Most of an answer that is read.
MAX_ANSWER_BYTES = 1 << 20
#: So many are asked at once.
AT_ONCE = 64

Elsewhere = PrometheusMetric | HttpMetric
Key = TypeVar("Key")


class Rubbish(Exception):
    """What came is no number; says what came instead. What a stranger wrote is not repeated."""


class Sources:
    """Whoever is asked for metrics, over connections that are kept. They are reached directly, and not redirected.

    Only those of `hosts` are asked, separated by commas, unless that is empty.
    """

    def __init__(self, hosts: str = "") -> None:
        self._hosts = {one.strip().lower() for one in hosts.split(",") if one.strip()}
        self._client = httpx2.AsyncClient(timeout=STEP_SECONDS, follow_redirects=False, trust_env=False)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()

    async def read(
        self, metrics: Mapping[Key, Elsewhere], tokens: Mapping[Key, str] = MappingProxyType({})
    ) -> dict[Key, Reading]:
        """Each metric as it is now, or why that is not known. Never raises for what others do.

        `tokens` are the values of the metrics' secrets, where they are known.
        """
        asking = {key: asyncio.ensure_future(self._one(metric, tokens.get(key))) for key, metric in metrics.items()}
        if not asking:
            return {}
        try:
            await asyncio.wait(asking.values(), timeout=WHOLE_SECONDS)
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)
        slow = f"gave no answer within {WHOLE_SECONDS:g} s"
        found = {
            key: Unknown(metrics[key].called, slow) if task.cancelled() else task.result()
            for key, task in asking.items()
        }
        for key, reading in found.items():
            if isinstance(reading, Unknown):
                METRIC_READS_FAILED.labels(metrics[key].type).inc()
        return found

    async def _one(self, metric: Elsewhere, token: str | None) -> Reading:
        try:
            if self._hosts and (host := httpx2.URL(metric.url).host) not in self._hosts:
                raise Rubbish(f"{host} is not among PATHFINDER_METRIC_HOSTS of the controller")
            async with self._turn:
                value = number(metric, await self._get(metric, _headers(metric, token)))
        except Rubbish as rubbish:
            return Unknown(metric.called, str(rubbish))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return Unknown(metric.called, f"cannot be reached: {str(error) or type(error).__name__}")
        if metric.target_value is not None:
            return Level(metric.called, metric.target_value, value)
        return Total(metric.called, metric.target_per_replica or 1.0, value)

    async def _get(self, metric: Elsewhere, headers: Mapping[str, str]) -> bytes:
        url, query = metric.url, None
        if isinstance(metric, PrometheusMetric):
            url, query = f"{url.rstrip('/')}/api/v1/query", {"query": metric.query}
        async with self._client.stream("GET", url, params=query, headers=headers) as answer:
            if not answer.is_success:
                raise Rubbish(f"answered {answer.status_code}")
            body = b""
            async for part in answer.aiter_bytes(65_536):
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise Rubbish("answered more than 1 MiB")
        return body


def _headers(metric: Elsewhere, token: str | None) -> dict[str, str]:
    """Raises Rubbish, which must not repeat the token: httpx would, of one that no header can have."""
    headers = {"Accept": "application/json", "User-Agent": "pathfinder"}
    if metric.secret is None:
        return headers
    if token is None:
        raise Rubbish(f"cannot be asked without the secret {metric.secret!r}, which is not there or cannot be opened")
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise Rubbish(f"cannot be asked, for the secret {metric.secret!r} is no token: let it be one line of ASCII")
    return {**headers, "Authorization": f"Bearer {token}"}


def number(metric: Elsewhere, body: bytes) -> float:
    """The number in an answer. Raises Rubbish."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Rubbish("answered no JSON") from None
    if isinstance(metric, PrometheusMetric):
        return _of_prometheus(document)
    try:
        found = JsonPointer(metric.pointer).resolve(document)
    except (JsonPointerException, TypeError):
        raise Rubbish(f"has nothing at {metric.pointer!r}") from None
    return _number(found)


def _of_prometheus(document: Any) -> float:
    try:
        kind, result = document["data"]["resultType"], document["data"]["result"]
        if kind == "scalar":
            return _number(result[1])
        if kind != "vector":
            raise Rubbish("the query gives no numbers of now; let it give a scalar, or one series")
        if len(result) != 1:
            raise Rubbish(f"the query gives {len(result)} series; let it give one, as sum() does")
        return _number(result[0]["value"][1])
    except (KeyError, IndexError, TypeError):
        raise Rubbish("answers otherwise than a Prometheus does") from None


def _number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise Rubbish("what is there is no number")
    try:
        value = float(found)
    except (ValueError, OverflowError):
        raise Rubbish("what is there is no number") from None
    if not 0 <= value < float("inf"):
        raise Rubbish(f"{value:g} is no amount")
    return value
