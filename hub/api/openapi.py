"""The description of the HTTP side: OpenAPI 3.1, at `/openapi.json`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from hub.api.bodies import BODIES
from hub.api.callers import COOKIE
from hub.api.guards import who_may
from hub.api.runs import ACTIONS
from hub.roles import ROLES, is_allowed

__all__ = ["describe"]

_PROBLEM = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The stable name of the error"},
        "instance": {"type": "string", "description": "Names the entry in the hub's log"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["message"],
                "properties": {
                    "message": {"type": "string"},
                    "path": {"type": "string"},
                    "code": {"type": "string"},
                    "severity": {"type": "string"},
                    "suggestion": {"type": ["string", "null"]},
                    "file": {"type": ["string", "null"]},
                    "line": {"type": ["integer", "null"]},
                    "column": {"type": ["integer", "null"]},
                },
            },
        },
    },
}
_ACTION_BODIES: dict[str, dict[str, Any]] = {
    "cancel": {"type": "object"},
    "migrate": {
        "type": "object",
        "properties": {
            "to": {
                "type": "string",
                "description": "A definition's hash; the project's by default",
            },
            "dry_run": {"type": "boolean"},
        },
    },
    "terminate": {"type": "object", "properties": {"reason": {"type": "string"}}},
    "forward": {
        "type": "object",
        "required": ["by"],
        "properties": {"by": {"type": "string", "examples": ["24h"]}},
    },
}
_SUMMARIES = {
    "migrate": "Move a live run to another definition of its tree, where its state maps onto it",
    "cancel": "Ask a run to stop; its `finally` and `undo` parts still run",
    "terminate": "End a run at once",
    "forward": "Let a run's clock jump ahead; development servers only",
}


def describe(
    routes: Sequence[ControllerRouterHandler], *, title: str, version: str
) -> dict[str, Any]:
    """The OpenAPI document of these routes, with those that read raw requests added by hand."""
    config = OpenAPIConfig(title=title, version=version, use_handler_docstrings=False)
    described = Litestar(route_handlers=list(routes), openapi_config=config, logging_config=None)
    document: dict[str, Any] = described.openapi_schema.to_schema()
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
    paths = document["paths"]
    paths["/hooks/{trigger}"] = {"post": _hook()}
    for action in ACTIONS:
        paths[f"/api/runs/{{run_id}}/{action}"] = {"post": _action(action)}
    paths["/api/runs/{run_id}/migrate"]["post"]["responses"] = {"200": _MIGRATION}
    for path, name in (("/api/runs/{run_id}", "run_id"), ("/api/events/{event_id}", "event_id")):
        # An id that may hold slashes is no URI, which Litestar takes it for.
        others = [one for one in paths[path]["get"]["parameters"] if one["name"] != name]
        paths[path]["get"]["parameters"] = [_path(name), *others]
    shown = paths["/api/events/{event_id}"]["get"]
    paths["/api/events/{event_id}/explain"] = {"get": _explained(shown)}
    shown["responses"]["200"] = _answer("One event with its deliveries", "EventView")
    shown["parameters"] = [one for one in shown["parameters"] if one["name"] != "type"]
    paths["/api/events/{event_id}/replay"] = {"post": _replay()}
    paths["/api/events"]["post"]["requestBody"] = _cloudevents()
    paths["/api/runs/{run_id}/live"] = {"get": _live_run()}
    paths["/api/events/live"] = {"get": _live_events()}
    for (path, method), body in BODIES.items():
        paths[path][method]["requestBody"] = body
    for path in ("/callbacks/{token}", "/decisions/{token}"):
        for method, status in (("get", "200"), ("post", "202" if "callbacks" in path else "200")):
            paths[path][method]["responses"] = {status: _LINK}
            paths[path][method]["responses"]["default"] = _LINK_PROBLEM
    paths["/callbacks/{token}"]["post"]["responses"]["200"] = _LINK
    paths["/readyz"]["get"]["responses"]["503"] = {
        **paths["/readyz"]["get"]["responses"]["200"],
        "description": "Something that the hub needs does not answer",
    }
    paths["/api/session"]["delete"]["responses"] = {"204": {"description": "Nobody is signed in"}}
    paths["/api/trees/{name}"]["put"]["parameters"] += _MATCHES
    _guard(document, described)
    return document


def _guard(document: dict[str, Any], described: Litestar) -> None:
    """Say of each operation who may call it, and which problems it answers with."""
    document["components"]["securitySchemes"] = _SCHEMES
    allowed = {(_plain(path), method.lower()): who for method, path, who in who_may(described)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses.pop("400", None)
            responses.setdefault("default", _PROBLEM)
            who = _who(allowed, path, method)
            if who in ("anyone", None):
                operation["security"] = []
                continue
            responses |= {"401": _PROBLEM, "403": _PROBLEM}
            operation["security"] = [{"token": []}, {"session": []}]
            operation["x-roles"] = [r for r in ROLES if who == "signed_in" or is_allowed([r], who)]


def _who(allowed: dict[tuple[str, str], Any], path: str, method: str) -> Any:
    """Who may call an operation; one below an id that holds slashes is its route's."""
    while path and (path, method) not in allowed:
        path = path.rpartition("/")[0]
    return allowed.get((path, method))


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _answer(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {
        "description": description,
        "content": {"application/json": {"schema": reference}},
    }


def _explained(shown: dict[str, Any]) -> dict[str, Any]:
    trigger = [one for one in shown["parameters"] if one["name"] == "trigger"]
    return {
        "summary": "What each subscription made of an event",
        "operationId": "ExplainEvent",
        "tags": ["events"],
        "parameters": [_path("event_id"), *trigger],
        "responses": {"200": _answer("Each subscription's word on it", "Explanation")},
    }


def _replay() -> dict[str, Any]:
    return {
        "summary": "An event once more",
        "operationId": "ReplayEvent",
        "tags": ["events"],
        "parameters": [
            _path("event_id"),
            {"name": "trigger", "in": "query", "schema": {"type": "string"}},
        ],
        "responses": {
            "202": {
                "description": "What it starts and resumes, or would",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["of", "id", "dry_run", "matches"],
                            "properties": {
                                "of": {"type": "string"},
                                "id": {"type": ["string", "null"]},
                                "dry_run": {"type": "boolean"},
                                "matches": {"type": "array", "items": {"type": "object"}},
                            },
                        }
                    }
                },
            }
        },
    }


def _hook() -> dict[str, Any]:
    return {
        "summary": "Send to a webhook, as its provider does",
        "operationId": "ReceiveHook",
        "tags": ["hooks"],
        "parameters": [_path("trigger")],
        "requestBody": {"content": {"*/*": {"schema": {}}}},
        "responses": {
            "202": {
                "description": "Durable",
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}
                },
            },
        },
    }


def _action(action: str) -> dict[str, Any]:
    return {
        "summary": _SUMMARIES[action],
        "operationId": f"{action.capitalize()}Run",
        "tags": ["runs"],
        "parameters": [_path("run_id")],
        "requestBody": {
            "required": action == "forward",
            "content": {"application/json": {"schema": _ACTION_BODIES[action]}},
        },
        "responses": {
            "202": {
                "description": "Handed to the run",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {"id": {"type": "string"}},
                        }
                    }
                },
            },
        },
    }


_MIGRATION: dict[str, Any] = {
    "description": "What became of it, or would; a refusal says why",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["id", "outcome", "from_hash", "to_hash", "reasons"],
                "properties": {
                    "id": {"type": "string"},
                    "outcome": {"enum": ["migrated", "would_migrate", "refused", "already"]},
                    "from_hash": {"type": ["string", "null"]},
                    "to_hash": {"type": "string"},
                    **{
                        name: {"type": "array", "items": {"type": "string"}}
                        for name in ("reasons", "skipped", "repeated", "kept", "gone", "notes")
                    },
                },
            }
        }
    },
}


def _live_run() -> dict[str, Any]:
    return {
        "summary": "A run as it changes, as server-sent events",
        "description": "Asked for with `Accept: text/event-stream`. `run` has the run's document, "
        "`problem` says why there is none just now, `end` is the last.",
        "operationId": "FollowRun",
        "tags": ["runs"],
        "parameters": [_path("run_id"), _LAST_EVENT_ID],
        "responses": {
            "200": _STREAM,
            "204": {"description": "The run has ended, and the client has its last document"},
        },
    }


def _live_events() -> dict[str, Any]:
    return {
        "summary": "The journal's tail, as server-sent events",
        "description": "Asked for with `Accept: text/event-stream`. `event` has an event of the "
        "journal as it comes in, and again with each change until it is settled.",
        "operationId": "FollowEvents",
        "tags": ["events"],
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in ("trigger", "type")
        ]
        + [_LAST_EVENT_ID],
        "responses": {"200": _STREAM},
    }


_LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Where the client was; what followed comes first",
}
_STREAM = {
    "description": "Events, with a comment every 15 seconds",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def _cloudevents() -> dict[str, Any]:
    event = {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"type": "string", "minLength": 1},
            "subject": {"type": "string"},
            "time": {"type": "string", "format": "date-time"},
            "data": {},
        },
    }
    return {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": event},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": event}},
        },
    }


_LINK = {
    "description": "A page for people, JSON for programs",
    "content": {"text/html": {"schema": {"type": "string"}}, "application/json": {"schema": {}}},
}
_LINK_PROBLEM = {
    "description": "A problem (RFC 9457), or a page that says it",
    "content": {**_PROBLEM["content"], "text/html": {"schema": {"type": "string"}}},  # type: ignore[dict-item]
}
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: hub_..."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A sign-in. What changes something brings the header x-csrf-token along",
    },
}
_MATCHES: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "header",
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        ("If-Match", "The ETag of the tree as it was read"),
        ("If-None-Match", "`*` for a new tree"),
    )
]


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
