"""Where actions are done: the one activity that performs any connector's action."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from structlog.contextvars import bind_contextvars
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from hub.blobs import Blobs, check_in, check_out
from hub.connections import Connections
from hub.connector import RunRef
from hub.errors import ActionFailed, ActionRefused, Busy, HubError, InvalidEvent, NotFound, TooLarge
from hub.event import Event
from hub.links import ButtonClaims, CallbackClaims, DecisionClaims, Links
from hub.run import EMIT, ActionCall, identity_of
from hub.run.approvals import LinkMark
from hub.secrets import redact
from hub.telemetry.metrics import ACTION_SECONDS, ACTIONS
from hub.telemetry.tracing import span
from hub.trigger import Intake

__all__ = ["Actions"]

_HEARTBEAT_EVERY = 5.0
_LINK_LASTS = timedelta(days=30)
_DECISION = re.compile(r"\[decision:([0-9a-f]+):([A-Za-z0-9_-]+)\]")
_NO_LINKS = "this worker makes no links: set HUB_SECRET_KEY and HUB_URL as the hub has them"
_MARK = re.compile(r"\[callback:([0-9a-f]+):([a-z][a-z0-9_]*)\]")


class Actions:
    """Performs actions for a worker, over the connections of the project as it is now.

    `intake` is where the events go that trees emit, `links` make callback links, `blobs` keep
    results that are too large for a run, where there are any.
    """

    def __init__(
        self,
        connections: Callable[[], Connections],
        links: Links | None,
        intake: Intake | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self._blobs = blobs
        self._connections = connections
        self._links = links
        self._intake = intake

    @activity.defn(dynamic=True)
    async def perform(self, args: Sequence[RawValue]) -> Any:
        """Do the action that the activity's type names."""
        return await self.do(activity.payload_converter().from_payload(args[0].payload, ActionCall))

    async def do(self, call: ActionCall) -> Any:
        """Do one action within an activity. Raises `ApplicationError` with the action's code."""
        began, outcome = time.perf_counter(), "cancelled"
        with span(
            f"action {call.action}",
            parent=call.traceparent,
            attributes={
                "hub.run_id": call.run_id,
                "hub.tree": call.tree,
                "hub.key": call.key,
                "hub.node": call.path,
                "hub.attempt": activity.info().attempt,
            },
        ):
            bind_contextvars(run_id=call.run_id, tree=call.tree, node=call.path)
            try:
                result = await self._do(call)
                outcome = "ok"
                return result
            except ApplicationError as error:
                outcome = error.type or "failed"
                raise
            finally:
                ACTIONS.labels(call.action, outcome).inc()
                ACTION_SECONDS.labels(call.action).observe(time.perf_counter() - began)

    async def _do(self, call: ActionCall) -> Any:
        if call.action == EMIT:
            return await self._emit(call)
        connections = self._connections()
        beating = asyncio.create_task(_beat())
        try:
            scope = await check_out(call.scope or {}, self._blobs)
            attempt = _Attempt(call, scope, self._links, connections.project)
            result = await connections.run(
                call.action,
                await check_out(attempt.with_links(call.arguments), self._blobs),
                attempt,
                connection=call.connection,
            )
            return await check_in(result, self._blobs)
        except ActionFailed as error:
            raise ApplicationError(
                redact(error.message),
                {"attempt": activity.info().attempt},
                type=error.failure,
                non_retryable=not error.retryable,
                next_retry_delay=None
                if error.retry_after is None
                else timedelta(seconds=error.retry_after),
            ) from None
        except (NotFound, TooLarge) as error:
            code = "result_too_large" if isinstance(error, TooLarge) else "result_lost"
            raise ApplicationError(error.message, type=code, non_retryable=True) from None
        except HubError as error:
            raise ApplicationError(redact(error.message), type=error.code) from None
        finally:
            beating.cancel()

    async def _emit(self, call: ActionCall) -> None:
        """Take in an event that a tree sends. Its id is that of the step, so it comes in once."""
        refused: HubError
        try:
            event = Event.from_cloudevent(call.arguments["event"])
        except InvalidEvent as error:
            refused = error
        else:
            if self._intake is not None:
                try:
                    await self._intake.accept(call.arguments["trigger"], [event])
                except Busy as error:
                    after = timedelta(seconds=error.retry_after)
                    raise ApplicationError(
                        error.message, type=error.code, next_retry_delay=after
                    ) from None
                except HubError as error:
                    raise ApplicationError(redact(error.message), type=error.code) from None
                return
            refused = NotFound("this worker has no way into the hub, so its trees cannot `emit`")
        raise ApplicationError(
            refused.message,
            {"attempt": activity.info().attempt},
            type=refused.code,
            non_retryable=True,
        )


async def _beat() -> None:
    # The heartbeat tells Temporal within seconds that a worker has died, and tells the worker
    # that the run has given the action up.
    while True:
        await asyncio.sleep(_HEARTBEAT_EVERY)
        activity.heartbeat()


class _Attempt:
    """One attempt of one action: what the connector is given. See `hub.connector.Call`."""

    def __init__(
        self, call: ActionCall, scope: dict[str, Any], links: Links | None, project: Path
    ) -> None:
        self._call = call
        self._links = links
        self.run = RunRef(id=call.run_id, tree=call.tree, key=call.key)
        self.path = call.path
        self.attempt = activity.info().attempt
        self.idempotency_key = call.idempotency_key
        self.project = project
        self.scope: Mapping[str, Any] = self.with_links(scope)

    def heartbeat(self) -> None:
        activity.heartbeat()

    def callback(self, subscription: str, *, expires: timedelta | None = None) -> str:
        if self._links is None:
            raise ActionRefused("no_links", _NO_LINKS)
        now = datetime.now(UTC)
        claims = CallbackClaims(
            run_id=self._call.run_id,
            subscription=subscription,
            first_run_id=identity_of(self._call.nonce),
            expires_at=now + (expires or _LINK_LASTS),
            # The same link on every attempt, so that a mail sent twice says the same.
            token_id=f"{self._call.idempotency_key}-{subscription}",
        )
        return self._links.sign(claims, now)

    def with_links(self, value: Any) -> Any:
        """The value with a signed link in each place that this very run has marked for one."""
        if isinstance(value, str):
            value = _MARK.sub(self._link, value) if "[callback:" in value else value
            return _DECISION.sub(self._decision, value) if "[decision:" in value else value
        if isinstance(value, dict):
            return {key: self.with_links(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.with_links(item) for item in value]
        return value

    def _link(self, mark: re.Match[str]) -> str:
        nonce, subscription = mark.groups()
        return self.callback(subscription) if nonce == self._call.nonce else mark.group()

    def _decision(self, mark: re.Match[str]) -> str:
        nonce, packed = mark.groups()
        if nonce != self._call.nonce:
            return mark.group()
        asked = LinkMark.read(packed)
        if self._links is None:
            raise ActionRefused("no_links", _NO_LINKS)
        # Of the time that the mark stands for, so that a mail sent twice has one link.
        if asked.who is None:
            buttons = ButtonClaims(
                run_id=self._call.run_id,
                path=asked.path,
                approval=asked.approval,
                expires_at=asked.expires_at,
            )
            return self._links.sign_buttons(buttons, asked.expires_at)
        claims = DecisionClaims(
            run_id=self._call.run_id,
            path=asked.path,
            approval=asked.approval,
            who=asked.who,
            expires_at=asked.expires_at,
        )
        return self._links.sign_decision(claims, asked.expires_at)
