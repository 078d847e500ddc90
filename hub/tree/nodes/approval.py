"""The node that asks people, and waits for what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec

from hub.errors import NodeFailed
from hub.expressions import Template
from hub.tree.node import Doc, Node, Run, Span, node

__all__ = [
    "Approval",
    "Approvers",
    "Escalation",
    "FormField",
    "Notify",
    "Question",
    "Rung",
    "SlackPost",
    "names_in",
]

_SHORTEST_REMINDER = timedelta(minutes=1)
_MAX_TEXT = 20_000
_MAX_NAME = 254


@dataclass(frozen=True, kw_only=True)
class Approvers:
    """Who may decide: people by their addresses, and groups of `hub.yaml` by their names."""

    people: Annotated[
        Template | None, Doc("mail addresses: one, or a list; `${{ }}` that gives them")
    ] = None
    groups: Annotated[list[str], Doc("names of groups of `hub.yaml`")] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One thing that a person is asked beside yes or no."""

    type: Annotated[Literal["text", "number", "boolean", "choice"], Doc("what is answered")] = (
        "text"
    )
    label: Annotated[str | None, Doc("what people read; the field's name by default")] = None
    required: Annotated[bool, Doc("must it be answered by those who approve?")] = False
    choices: Annotated[list[str], Doc("what a `choice` is chosen from")] = field(
        default_factory=list
    )


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """Whom else to ask when nothing is decided for so long."""

    after: Annotated[Span, Doc("how long after the approval was asked for: `24h`")]
    to: Annotated[Approvers | Template | None, Doc("who may decide too from then on")] = None
    quorum: Annotated[int | None, Doc("how many must approve from then on")] = None


@dataclass(frozen=True, kw_only=True)
class SlackPost:
    """Where in Slack people are asked, by a post with buttons."""

    channel: Annotated[str | None, Doc("the channel; that of the connection by default")] = None
    connection: Annotated[str | None, Doc("the `slack` connection, where there are several")] = None


@dataclass(frozen=True, kw_only=True)
class Notify:
    """How people are asked: by a mail to each, by a post in Slack, or both."""

    connection: Annotated[str | None, Doc("the `email` connection, where there are several")] = None
    template: Annotated[
        str | None,
        Doc("a mail template of the project; it gets `approval` and `decision_url` as data"),
    ] = None
    mail: Annotated[bool, Doc("does each get a mail?")] = True
    slack: Annotated[
        SlackPost | None, Doc('a post in Slack with buttons: `{channel: "#deploys"}`')
    ] = None


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the escalation: after which time whom to ask, and the quorum from then on."""

    after: timedelta
    people: list[str]
    groups: list[str]
    quorum: int | None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an approval asks of whom, with all its expressions evaluated.

    `notify` is None where mails are sent if there is a connection for them, False for no notice.
    """

    title: str
    details: str | None
    form: dict[str, FormField]
    people: list[str]
    groups: list[str]
    excluded: list[str]
    quorum: int
    veto: bool
    remind: timedelta | None
    rungs: list[Rung]
    timeout: timedelta | None
    on_timeout: Literal["fail", "approve", "reject"]
    notify: Notify | bool | None


@node("approval", primary="title")
class Approval(Node):
    """Ask people for their approval, and wait for it.

    It succeeds when as many as the `quorum` have approved. It fails with the code `rejected` when
    somebody rejects, or with `veto: false` when the quorum is out of reach. When its `timeout` is
    over, `on_timeout` says what that means; it fails with the code `timeout` by default. The result
    is `{decision, by: [{who, decision, how, at, comment, form}], ...}`.
    """

    title: Annotated[Template, Doc("what is to be approved, in one line")]
    details: Annotated[Template | None, Doc("what people should know to decide")] = None
    form: Annotated[
        dict[str, FormField], Doc("what they are asked beside: a field's name, and what it takes")
    ] = field(default_factory=dict)
    from_: Annotated[
        Approvers | Template | None,
        Doc("who may decide: `{people: [...], groups: [...]}`, or a list of addresses"),
    ] = None
    exclude: Annotated[
        Template | None,
        Doc("who may not, even in a group: `${{ event.data.requester }}`, one or a list"),
    ] = None
    quorum: Annotated[int, Doc("how many must approve")] = 1
    veto: Annotated[bool, Doc("does one rejection end it?")] = True
    remind: Annotated[
        Span | None, Doc("how often those who have not decided are reminded: `8h`")
    ] = None
    escalate: Annotated[
        list[Escalation], Doc("whom else to ask, and when: `[{after: 24h, to: {groups: [leads]}}]`")
    ] = field(default_factory=list)
    notify: Annotated[
        Notify | bool | None,
        Doc("how they are asked; `false` for not at all; by mail by default, if there is a way"),
    ] = None
    on_timeout: Annotated[
        Literal["fail", "approve", "reject"], Doc("what it means that the `timeout` is over")
    ] = "fail"
    patience: Span | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # The approval itself says what the end of its time means, so nothing around it may.
        self.patience, self.timeout = self.timeout, None

    def check(self, problem: Any) -> None:
        if self.from_ is None or (
            isinstance(self.from_, Approvers)
            and self.from_.people is None
            and not self.from_.groups
        ):
            problem(
                "an approval says who may decide",
                suggestion="write `from: {people: [ada@example.com]}` or `from: {groups: [leads]}`",
            )
        if self.quorum < 1 or any(e.quorum is not None and e.quorum < 1 for e in self.escalate):
            problem("a quorum is at least 1")
        if self.on_timeout != "fail" and self.patience is None:
            problem("`on_timeout` needs a `timeout`", field="on_timeout")
        often = None if self.remind is None else self.remind.fixed
        if often is not None and often < _SHORTEST_REMINDER:
            problem("reminders are at least a minute apart", field="remind")
        for name, asked in self.form.items():
            if (asked.type == "choice") != bool(asked.choices):
                problem(
                    f"the form's field {name!r} has `choices` if it is a `choice`, and only then",
                    field="form",
                )

    def named_groups(self) -> list[str]:
        """The groups of `hub.yaml` that it asks, at first or later."""
        asked = [self.from_, *(escalation.to for escalation in self.escalate)]
        return [name for one in asked if isinstance(one, Approvers) for name in one.groups]

    async def run(self, run: Run) -> Any:
        outcome = await run.ask(self, lambda: self._question(run))
        if outcome["decision"] == "approved":
            return outcome
        if outcome["decision"] == "rejected":
            raise NodeFailed("rejected", _why_rejected(outcome), self.path)
        raise NodeFailed("timeout", f"{self.label}: nobody decided in time", self.path)

    def _question(self, run: Run) -> Question:
        people, groups = _asked(run, self.from_)
        rungs = []
        for escalation in self.escalate:
            more, more_groups = _asked(run, escalation.to)
            rungs.append(
                Rung(
                    after=run.span(escalation.after),
                    people=more,
                    groups=more_groups,
                    quorum=escalation.quorum,
                )
            )
        remind = None if self.remind is None else run.span(self.remind)
        details = None if self.details is None else run.evaluate(self.details)
        return Question(
            title=" ".join(str(run.evaluate(self.title)).split())[:300] or "Approval",
            details=None if details is None else str(details)[:_MAX_TEXT],
            form=self.form,
            people=people,
            groups=groups,
            excluded=[] if self.exclude is None else names_in(run.evaluate(self.exclude)),
            quorum=self.quorum,
            veto=self.veto,
            remind=None if remind is None else max(remind, _SHORTEST_REMINDER),
            rungs=sorted(rungs, key=lambda rung: rung.after),
            timeout=None if self.patience is None else run.span(self.patience),
            on_timeout=self.on_timeout,
            notify=None if self.notify is True else self.notify,
        )


def names_in(value: Any) -> list[str]:
    """The people that an expression gives: one, or a list. Raises `NodeFailed` for what is none."""
    if isinstance(value, (list, tuple)):
        return [name for item in value for name in names_in(item)]
    if isinstance(value, str) and 0 < len(value.strip()) <= _MAX_NAME:
        name = value.strip().casefold()
        if name.isprintable() and " " not in name and name[0] not in "*#":
            return [name]
    # Whoever is left out by mistake might decide, or be the only one who could.
    raise NodeFailed("invalid_person", f"{str(value)[:60]!r} is no mail address", harmless=True)


def _asked(run: Run, asked: Approvers | Template | None) -> tuple[list[str], list[str]]:
    if asked is None:
        return [], []
    if isinstance(asked, Template):
        return names_in(run.evaluate(asked)), []
    people = [] if asked.people is None else names_in(run.evaluate(asked.people))
    return people, list(asked.groups)


def _why_rejected(outcome: Mapping[str, Any]) -> str:
    against = [one for one in outcome["by"] if one["decision"] == "reject"]
    if not against:
        return "nobody decided in time, which counts as a rejection"
    last = against[-1]
    comment = f": {last['comment']}" if last.get("comment") else ""
    return f"rejected by {last['who']}{comment}"
