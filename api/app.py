"""The application: its routes, errors and bounds."""

from fastapi import FastAPI

from api import errors, web
from api.deps import PREFIX
from api.gauge import Gauge
from api.headers import Headers
from api.limits import Logins, Rates
from api.middleware import BodyLimit, Measured, TraceIds
from api.overview import Overview
from api.routes import (
    autoscaling,
    broker,
    clusters,
    containers,
    dead,
    deployments,
    events,
    health,
    nodes,
    plans,
    policies,
    problems,
    replays,
    resilience,
    secrets,
    session,
    sso,
    status,
    tokens,
    usage,
    users,
    webhooks,
)
from api.tail import Tail
from api.uses import Uses
from api.watching import Watching
from pathfinder import __version__
from pathfinder.bootstrap import Process
from pathfinder.oidc import Provider
from pathfinder.store.resilience import Surveys

#: In this order; the first few are for whoever is not known yet.
ROUTERS = (
    health.router,
    session.open_router,
    sso.open_router,
    broker.router,
    *(
        noun.router
        for noun in (
            containers,
            usage,
            deployments,
            autoscaling,
            plans,
            policies,
            replays,
            nodes,
            clusters,
            events,
            status,
            dead,
            webhooks,
            problems,
            resilience,
            secrets,
            session,
            users,
            tokens,
        )
    ),
)


def create_app(
    process: Process,
    tail: Tail,
    gauge: Gauge | None = None,
    uses: Uses | None = None,
    watching: Watching | None = None,
) -> FastAPI:
    """The API of `process`; `tail` must be running for streams to move, `gauge` for creates to be refused, `uses` for
    tokens to show when they were used, `watching` for nodes to tell what is used.
    """
    app = FastAPI(
        title="Pathfinder",
        version=__version__,
        summary="The orchestrator that makes a fleet of LXD machines behave as one.",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.process, app.state.tail = process, tail
    app.state.logins, app.state.rates = Logins(), Rates(process.settings.requests_per_second)
    app.state.provider = Provider(process.settings) if process.settings.oidc_issuer else None
    app.state.uses = uses or Uses(process)
    app.state.watching = watching or Watching(process)
    app.state.gauge = gauge or Gauge(process)
    app.state.surveys = Surveys(process.database, process.settings.zone_label, process.rules)
    app.state.known_nodes = broker.Known(process)
    app.state.overview = Overview(process, app.state.surveys)
    # As they are: `include_router` builds each anew, at the first request, which takes a third of a second for all.
    app.router.routes += [route for router in ROUTERS for route in router.routes]
    app.router.default = web.Console(app.router.default, web.DIST)
    errors.install(app)
    app.add_middleware(BodyLimit, limit=process.settings.max_body_bytes)
    app.add_middleware(TraceIds)
    app.add_middleware(Measured, prefix=PREFIX)
    app.add_middleware(Headers, docs=f"{PREFIX}/docs")
    return app
