"""How a consumer stands: its state, with one log line for each change, and its counts."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hub.trigger import ConsumerState, ConsumerStatus, PartitionStatus

__all__ = ["Standing"]

_log = structlog.get_logger("hub.kafka")
_WORDS: dict[ConsumerState, str] = {
    "starting": "a Kafka trigger starts",
    "waiting": "a Kafka trigger waits for its topics",
    "consuming": "a Kafka trigger consumes",
    "paused": "a Kafka trigger pauses",
    "away": "a Kafka trigger has lost its brokers and tries on",
    "stopped": "a Kafka trigger has stopped",
}


class Standing:
    """What is told of one trigger's consumer."""

    def __init__(self, trigger: str) -> None:
        self.trigger = trigger
        self.state: ConsumerState = "stopped"
        self.accepted = 0
        self.duplicates = 0
        self.dead = 0
        self._detail: str | None = None

    def now(self, state: ConsumerState, detail: str | None = None) -> None:
        """Note a state; only a change of it is logged."""
        self._detail = detail
        if state == self.state:
            return
        self.state = state
        write = _log.warning if state in ("paused", "away") else _log.info
        more = {} if detail is None else {"detail": detail}
        write(_WORDS[state], trigger=self.trigger, **more)

    def status(self, partitions: Sequence[PartitionStatus]) -> ConsumerStatus:
        """All of it, for health checks and metrics."""
        return ConsumerStatus(
            trigger=self.trigger,
            state=self.state,
            detail=self._detail,
            partitions=partitions,
            accepted=self.accepted,
            duplicates=self.duplicates,
            dead=self.dead,
        )
