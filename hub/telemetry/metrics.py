"""What the hub counts, for Prometheus. Labels are names of the project, never values of events."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = [
    "ACCEPTED",
    "ACTIONS",
    "ACTION_SECONDS",
    "AWAY",
    "BACKLOG",
    "DELIVERIES",
    "DELIVERY_SECONDS",
    "REFUSED",
    "REGISTRY",
    "RUNS",
    "SETTLED",
]

REGISTRY = CollectorRegistry()
"""Of this process. `/metrics` shows it."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

ACCEPTED = Counter(
    "hub_events_accepted",
    "Events that were made durable, and duplicates of such",
    ["trigger", "duplicate"],
    registry=REGISTRY,
)
REFUSED = Counter(
    "hub_requests_refused",
    "Requests to a webhook that were turned away, by the code of the error",
    ["trigger", "code"],
    registry=REGISTRY,
)
SETTLED = Counter(
    "hub_events_settled",
    "Events that the dispatcher is done with: delivered, unmatched or dead",
    ["trigger", "status"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "hub_deliveries",
    "What became of an event at a run",
    ["tree", "outcome"],
    registry=REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "hub_delivery_seconds",
    "From the moment an event was durable until the dispatcher was done with it",
    ["trigger"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
BACKLOG = Gauge(
    "hub_journal_backlog", "Events in the journal that are not delivered yet", registry=REGISTRY
)
AWAY = Gauge("hub_temporal_away", "1 while Temporal is taken to be away", registry=REGISTRY)
ACTIONS = Counter(
    "hub_actions",
    "Attempts of actions, by how they ended: ok, or the code of the failure",
    ["action", "outcome"],
    registry=REGISTRY,
)
ACTION_SECONDS = Histogram(
    "hub_action_seconds",
    "How long one attempt of an action took",
    ["action"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
RUNS = Gauge("hub_runs", "Runs that Temporal knows, by status", ["status"], registry=REGISTRY)
