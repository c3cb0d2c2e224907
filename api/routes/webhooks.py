"""Webhooks: who is told of problems."""

import secrets
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import Query

from api.auth import Operator, guarded
from api.deps import Limit, ProcessDep, TraceId
from api.errors import documented
from pathfinder.controllers.notices import prepare
from pathfinder.domain import views
from pathfinder.domain.messages import Kind
from pathfinder.domain.specs import WebhookSpec
from pathfinder.domain.webhooks import Notice, State
from pathfinder.posting import post
from pathfinder.store import audit, webhooks

router = guarded("/webhooks", "webhooks")


@router.get("", responses=documented())
async def get_all(
    process: ProcessDep,
    asking: Operator,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=63, description="The next_cursor of the page before.")] = "",
) -> views.Page[views.Webhook]:
    """Every webhook, by name. Secrets are not shown."""
    async with process.database.read() as tx:
        rows = await webhooks.page(tx, cursor, limit + 1)
    return views.Page(items=rows[:limit], next_cursor=rows[limit - 1].name if len(rows) > limit else None)


@router.post("", status_code=201, responses=documented(409))
async def create(spec: WebhookSpec, process: ProcessDep, asking: Operator, trace_id: TraceId) -> views.NewWebhook:
    """A new webhook. The answer is the only one that ever has its secret."""
    secret = spec.secret.get_secret_value() if spec.secret else f"whs_{secrets.token_urlsafe(32)}"
    async with process.database.begin() as tx:
        await webhooks.create(tx, spec, secret)
        made = await webhooks.view(tx, spec.name)
        id_ = (await webhooks.find(tx, spec.name)).id
        body = {"format": spec.format, "kinds": list(spec.kinds)}
        await audit.tell(tx, Kind.WEBHOOK_CREATED, id_, spec.name, asking.actor, trace_id, body)
    return views.NewWebhook(**made.model_dump(), secret=secret)


@router.get("/{name}", responses=documented(404))
async def get(name: str, process: ProcessDep, asking: Operator) -> views.Webhook:
    """One webhook."""
    async with process.database.read() as tx:
        return await webhooks.view(tx, name)


@router.delete("/{name}", status_code=204, responses=documented(404))
async def delete(name: str, process: ProcessDep, asking: Operator, trace_id: TraceId) -> None:
    """Forget a webhook. What waited for it is not sent any more."""
    async with process.database.begin() as tx:
        id_ = (await webhooks.find(tx, name)).id
        await webhooks.delete(tx, name)
        await audit.tell(tx, Kind.WEBHOOK_DELETED, id_, name, asking.actor, trace_id)


@router.post("/{name}/test", responses=documented(404))
async def test(name: str, process: ProcessDep, asking: Operator) -> views.Tested:
    """Send a notice that only tests the way, once, and tell what the receiver said."""
    async with process.database.begin() as tx:
        receiver = await webhooks.find(tx, name)
    now = datetime.now(UTC)
    notice = Notice(
        id=uuid4(),
        state=State.TEST,
        problem_id=uuid4(),
        key="webhook.test:" + name,
        kind="webhook.test",
        severity="warning",
        cluster=None,
        subject=name,
        summary="This is a test: nothing is wrong.",
        advice=f"Nothing is to be done. It was asked for with `pfi test webhook {name}`.",
        opened_at=now,
        closed_at=None,
    )
    answer = await post(prepare(receiver.format, receiver.url, receiver.secret, notice, now))
    return views.Tested(taken=answer.taken, answer=answer.words, seconds=round(answer.seconds, 3))
