"""What `hub.yaml` says of a Kafka trigger."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from hub.durations import parse_duration
from hub.errors import Diagnostic, ExpressionError, InvalidDuration
from hub.expressions import Template, compile_template
from hub.kafka import Security, check_brokers, check_security

__all__ = ["EXPRESSIONS", "RegistrySettings", "Settings"]

EXPRESSIONS = ("id", "type", "subject", "time", "data")
"""The settings that say what of a message becomes the event."""
_NAMES = frozenset({"value", "key", "headers", "topic", "partition", "offset", "timestamp"})
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(minutes=30)


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schema registry that speaks Confluent's protocol, at `url`.

    The login is `username` and `password` (an API key and its secret), or a bearer `token`. `ca` are
    certificates to trust instead of the system's, as PEM text. One question takes at most `timeout`
    seconds.
    """

    url: str
    username: str | None = None
    password: str | None = None
    token: str | None = None
    ca: str | None = None
    timeout: float = 5.0

    def trust(self) -> ssl.SSLContext:
        """The certificates by which the registry is known. Raises `ssl.SSLError`."""
        return ssl.create_default_context(cadata=self.ca)

    def check(self) -> list[Diagnostic]:
        """Every fault, each with the field as its path."""
        faults = []
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.netloc or address.username:
            faults.append(
                _fault("registry.url", "is no address", "for example https://registry.example.com")
            )
        if self.token is not None and self.username is not None:
            faults.append(_fault("registry.token", "there is a login by `username` already"))
        if self.password is not None and self.username is None:
            faults.append(_fault("registry.username", "a `password` needs it"))
        if not 0 < self.timeout <= 60:
            faults.append(_fault("registry.timeout", "is a number of seconds, at most 60"))
        if self.ca is not None:
            try:
                self.trust()
            except ssl.SSLError:
                faults.append(_fault("registry.ca", "holds no certificate as PEM text"))
        return faults

    def __repr__(self) -> str:
        return "<settings of a schema registry>"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One or more topics, read as one consumer group.

    Exactly one of `topic`, `topics` and `pattern` (a regular expression that the whole name must
    match) says what is read. `brokers` are `host:port`, several as a list or with commas.

    `group` is by default `hub-` and the trigger's name. All processes of one hub share it; two
    hubs on one cluster need each their own. `start` says where a group begins that has never read
    a partition: at its `earliest` message or after its `latest`. A partition that is made later is
    read from its beginning either way.

    `format` says what values are: `json`, `raw` (text, or base64 where they are none),
    `cloudevents` (anything else is refused), `registry` (Avro, or JSON with a JSON Schema, as the
    schema `registry` says of the id that each value begins with). A message that says of itself that
    it is a CloudEvent is read as one with every format but `raw`.

    `key_header` and `id_header` name headers that hold the key and the event's id, where messages
    carry them there; a message without that header has its own.

    `id`, `type`, `subject`, `time` and `data` say what of the message becomes the event, as
    `${{ }}` expressions over `value`, `key`, `headers`, `topic`, `partition`, `offset` and
    `timestamp`. What cannot be read goes to the journal's dead letters, and to the topic
    `dead_letter` where one is named.

    A process that has not been heard of for `session_timeout` loses its partitions to the others.
    """

    topic: str | None = None
    topics: list[str] = []
    pattern: str | None = None
    brokers: str | list[str] = "localhost:9092"
    security: Security | None = None
    group: str | None = None
    start: Literal["earliest", "latest"] = "earliest"
    format: Literal["json", "cloudevents", "raw", "registry"] = "json"
    registry: RegistrySettings | None = None
    key_header: str | None = None
    id_header: str | None = None
    id: Any = None
    type: Any = None
    subject: Any = None
    time: Any = None
    data: Any = None
    dead_letter: str | None = None
    session_timeout: str = "10s"

    @property
    def subscription(self) -> str:
        """The regular expression for the topics; aiokafka matches it from a name's beginning."""
        if self.pattern is not None:
            return f"(?:{self.pattern})\\Z"
        return f"(?:{'|'.join(map(re.escape, self.named))})\\Z"

    @property
    def named(self) -> list[str]:
        """The topics that are named; none where there is a pattern."""
        return [self.topic] if self.topic is not None else list(self.topics)

    @property
    def session_seconds(self) -> float:
        """The session timeout, in seconds."""
        return parse_duration(self.session_timeout).total_seconds()

    def templates(self) -> Mapping[str, Template]:
        """The expressions, compiled."""
        return {
            field: compile_template(value)
            for field in EXPRESSIONS
            if (value := getattr(self, field)) is not None
        }

    def check(self) -> list[Diagnostic]:
        """Every fault, each with the field as its path."""
        faults = [
            *self._check_topics(),
            *check_brokers(self.brokers),
            *check_security(self.security),
            *self._check_registry(),
            *self._check_expressions(),
        ]
        if self.group is not None and not 0 < len(self.group) <= 249:
            faults.append(_fault("group", "a group has a name of 1 to 249 characters"))
        try:
            session = parse_duration(self.session_timeout)
        except InvalidDuration as error:
            faults.append(_fault("session_timeout", error.message))
        else:
            if not _SHORTEST <= session <= _LONGEST:
                faults.append(_fault("session_timeout", "must be from 1 second to 30 minutes"))
        return faults

    def _check_registry(self) -> list[Diagnostic]:
        faults = [] if self.registry is None else self.registry.check()
        if (self.format == "registry") != (self.registry is not None):
            faults.append(
                _fault(
                    "registry",
                    "`format: registry` and the settings of a `registry` go together",
                    "for example registry: {url: https://registry.example.com}",
                )
            )
        if self.registry is not None and not _has_extra():
            faults.append(
                _fault(
                    "registry", "needs the extra `registry`", "pip install 'event-hub[registry]'"
                )
            )
        if self.id is not None and self.id_header is not None:
            faults.append(_fault("id_header", "there is an `id` already"))
        return faults

    def _check_topics(self) -> list[Diagnostic]:
        given = [self.topic is not None, bool(self.topics), self.pattern is not None]
        faults: list[Diagnostic] = []
        if sum(given) != 1:
            faults.append(
                _fault(
                    "topic",
                    "say which topics to read by one of `topic`, `topics` and `pattern`",
                    "for example topic: orders",
                )
            )
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                faults.append(_fault("pattern", f"is no regular expression: {error}"))
        named = [("topic", self.topic), ("dead_letter", self.dead_letter)]
        named += [(f"topics[{index}]", topic) for index, topic in enumerate(self.topics)]
        for path, topic in named:
            if topic is not None and (not _TOPIC.fullmatch(topic) or topic in (".", "..")):
                faults.append(
                    _fault(
                        path,
                        f"{topic!r} is no topic's name",
                        "1 to 249 letters, digits, dots, hyphens and underscores",
                    )
                )
        if self.dead_letter is not None and self.dead_letter in self.named:
            faults.append(_fault("dead_letter", "is read by this trigger itself; name another one"))
        matched = self.pattern is not None and self.dead_letter is not None and not faults
        if matched and re.fullmatch(self.pattern or "", self.dead_letter or ""):
            faults.append(
                _fault("dead_letter", "matches `pattern`, so its messages would come again")
            )
        return faults

    def _check_expressions(self) -> list[Diagnostic]:
        faults: list[Diagnostic] = []
        for field in EXPRESSIONS:
            value = getattr(self, field)
            if value is None:
                continue
            try:
                unknown = sorted(compile_template(value).names - _NAMES)
            except ExpressionError as error:
                faults.append(
                    Diagnostic(
                        message=error.message,
                        path=field,
                        code=error.code,
                        suggestion=error.suggestion,
                    )
                )
                continue
            for name in unknown:
                close = get_close_matches(name, sorted(_NAMES), n=1)
                faults.append(
                    Diagnostic(
                        message=f"there is no {name!r} in a message",
                        path=field,
                        code="unknown_name",
                        suggestion=f"did you mean {close[0]!r}?"
                        if close
                        else "use " + ", ".join(sorted(_NAMES)),
                    )
                )
        return faults


def _has_extra() -> bool:
    return all(find_spec(name) is not None for name in ("fastavro", "jsonschema_rs"))


def _fault(path: str, message: str, suggestion: str | None = None) -> Diagnostic:
    return Diagnostic(message=message, path=path, code="invalid_value", suggestion=suggestion)
