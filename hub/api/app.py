"""The HTTP application: its routes, and how its errors look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.enums import MediaType
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from hub import __version__
from hub.api.approvals import approvals
from hub.api.audit import audit
from hub.api.callbacks import callbacks
from hub.api.codec import codec
from hub.api.connections import connections
from hub.api.decisions import decisions
from hub.api.events import events
from hub.api.guards import SIGNED_IN, check_routes, management_guards
from hub.api.hardening import harden
from hub.api.health import health
from hub.api.ingress import hooks
from hub.api.language import language
from hub.api.metrics import metrics
from hub.api.migrations import migrating
from hub.api.openapi import describe
from hub.api.overview import overview
from hub.api.problems import respond_with_problem
from hub.api.project import project
from hub.api.replays import replays
from hub.api.runs import runs
from hub.api.schedules import schedules
from hub.api.services import Services
from hub.api.sessions import sessions
from hub.api.sources import sources
from hub.api.trials import trials
from hub.api.users import users
from hub.api.web import web
from hub.errors import HubError

__all__ = ["create_app"]


def create_app(
    services: Services, *, extra_routes: Sequence[ControllerRouterHandler] = ()
) -> Litestar:
    """The application over these services.

    Hooks, signed links and health checks are open, as their callers come from anywhere and prove
    themselves in their own ways. All else, `extra_routes` included, is the management side,
    and each route of it says who may call it (see `hub.api.guards`).
    """
    public: list[ControllerRouterHandler] = [
        hooks(services),
        *callbacks(services),
        *decisions(services),
        *health(services.health, degrading=services.degrading, timeout=services.check_timeout),
    ]
    managed: list[ControllerRouterHandler] = [
        *events(services),
        *replays(services),
        *runs(services, migrating(services)),
        *approvals(services),
        *schedules(services),
        *project(services),
        *sources(services),
        *connections(services),
        *trials(services),
        *overview(services),
        *metrics(services),
        *codec(services),
        *language(),
        *sessions(services),
        *users(services),
        *audit(services),
    ]
    description: dict[str, Any] = {}

    @get("/openapi.json", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=False)
    def openapi() -> Response[dict[str, Any]]:
        if not description:
            description.update(describe([*public, *managed], title="hub", version=__version__))
        return Response(description, media_type=MediaType.JSON)

    management = Router(
        "/",
        route_handlers=[*managed, openapi, *extra_routes],
        guards=management_guards(services),
    )
    app = Litestar(
        route_handlers=[*public, *web(), management],
        exception_handlers={
            HubError: respond_with_problem,
            HTTPException: respond_with_problem,
            Exception: respond_with_problem,
        },
        openapi_config=None,
        logging_config=None,
        debug=False,
        before_send=[harden(services)],
    )
    check_routes(app)
    return app
