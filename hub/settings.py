"""The settings of a process: `HUB_*` environment variables. `hub.yaml` holds those of a project."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from hub.durations import parse_duration
from hub.errors import InvalidDuration, InvalidSetting, MissingSecret
from hub.secrets import read_dotenv, redactor

__all__ = ["Settings", "read_environment"]


def read_environment(project: Path) -> dict[str, str]:
    """The process's environment over the project's `.env`. Raises `InvalidDefinition`."""
    return {**read_dotenv(project / ".env"), **os.environ}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `HUB_*` says, read and checked. Each field is `HUB_` and its name in capitals.

    `state` is the folder of the embedded parts' state, by default `.hub` in the project; it is
    taken from the working directory when it is relative. `base_url` is what links to the hub begin
    with, where it is reached under another address than the one that it listens on. `temporal_ui` is
    the address of Temporal's own page, where there is one; in `hub dev` it is the embedded one, on
    `temporal_ui_port`. `journal_url` is a database for the journal instead of a file in `state`;
    `journal_retention` is how long it keeps a settled event, and so knows a duplicate of it,
    `audit_retention` how long its audit log keeps an entry. `edit_trees` is whether trees may be saved
    through the API and the page.

    `secret_key` is what the keys of links are derived from, the same in all processes;
    `old_secret_keys` are those of before, whose links are still good. `health_port` is where
    processes without HTTP of their own serve their health. `kafka_brokers` replaces the brokers of
    every Kafka trigger and connection. `task_queue` is where runs wait for workers. `allowed_hosts`
    are further names under which the management side is called.

    `encryption_keys` are those that payloads are encrypted with on their way to Temporal, as
    `name:base64` with commas between them; the first encrypts, all decrypt. `codec_origins` are the
    origins of Temporal's page that may ask the hub to decrypt for those who may. `log_format` is
    `console` or `json`, by default `console` on a terminal; `log_level` is what the hub's own lines
    begin at.

    A process that is told to stop reports that it is not ready and goes on as before for
    `drain_delay`, then has `drain_timeout` to finish what is under way. `max_cached_runs` are held
    in a worker's memory, and `max_actions` are done by it at once. With a `deployment` the workers
    are one of its versions to Temporal, named by `build_id`, by default after the hub's release.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    temporal_port: int = 7233
    temporal_ui_port: int = 8233
    smtp_port: int = 1025
    kafka_port: int = 9092
    health_port: int | None = None
    state: Path | None = None
    base_url: str | None = None
    temporal_ui: str | None = None
    journal_url: str | None = None
    journal_retention: timedelta = timedelta(days=30)
    audit_retention: timedelta = timedelta(days=400)
    edit_trees: bool = False
    secret_key: str | None = None
    old_secret_keys: tuple[str, ...] = ()
    encryption_keys: str | None = None
    codec_origins: tuple[str, ...] = ()
    log_format: str | None = None
    log_level: str = "info"
    kafka_brokers: str | None = None
    task_queue: str = "hub"
    allowed_hosts: tuple[str, ...] = ()
    drain_delay: timedelta = timedelta(0)
    drain_timeout: timedelta = timedelta(seconds=30)
    max_cached_runs: int = 1000
    max_actions: int = 100
    deployment: str | None = None
    build_id: str | None = None

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; an empty variable counts as one that is not set.

        Raises `InvalidSetting`, which names each variable that cannot be used and why.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for field in msgspec.structs.fields(cls):
            variable = f"HUB_{field.name.upper()}"
            text = env.get(variable, "").strip()
            if not text:
                continue
            read = _READERS.get(field.name, _port if field.name.endswith("port") else str)
            try:
                values[field.name] = read(text)
            except _Unusable as error:
                faults.append(f"{variable} is {text!r}; {error}")
        settings = cls(**values)
        for secret in (settings.secret_key, *settings.old_secret_keys):
            redactor.add(secret or "")
        for named in (settings.encryption_keys or "").split(","):
            redactor.add(named.rpartition(":")[2].strip())
        faults += settings._clashes()
        if faults:
            raise InvalidSetting("; ".join(faults))
        return settings

    @property
    def url(self) -> str:
        """What links to the hub begin with."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def secrets(self) -> tuple[str, ...]:
        """The secrets of links: the first signs, all are believed. Raises `MissingSecret`."""
        if self.secret_key is None:
            raise MissingSecret(
                "HUB_SECRET_KEY is not set. Links in mails are signed by it, so every process of "
                "a hub needs the same one; make it once: `openssl rand -hex 32`"
            )
        return (self.secret_key, *self.old_secret_keys)

    def _clashes(self) -> list[str]:
        names: dict[int, str] = {}
        faults = []
        for name in _PORTS:
            port, variable = getattr(self, name), f"HUB_{name.upper()}"
            if port in names:
                faults.append(
                    f"{names[port]} and {variable} are both {port}; each needs its own port"
                )
            if port is not None:
                names.setdefault(port, variable)
        return faults


class _Unusable(ValueError):
    """Why a text cannot be used, and what can."""


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise _Unusable("a port is a number from 1 to 65535")


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000:
        return int(text)
    raise _Unusable("it is a number from 1 to 1,000,000")


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise _Unusable("write an address such as https://hub.example.com")
    return text


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except InvalidDuration as error:
        raise _Unusable(error.message) from None


def _keeping(text: str) -> timedelta:
    if (span := _span(text)) < _SHORTEST_RETENTION:
        raise _Unusable("it is at least 1 hour")
    return span


def _yes_or_no(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise _Unusable("it is yes or no")
    return text.lower() in _YES


def _several(text: str) -> tuple[str, ...]:
    return tuple(one for one in (part.strip() for part in text.split(",")) if one)


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in names:
            raise _Unusable(f"it is one of {', '.join(names)}")
        return text.lower()

    return read


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


_SHORTEST_RETENTION = timedelta(hours=1)
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
_PORTS = ("port", "temporal_port", "temporal_ui_port", "smtp_port", "kafka_port", "health_port")
_READERS: Mapping[str, Callable[[str], Any]] = {
    "state": _folder,
    "base_url": _address,
    "temporal_ui": _address,
    "journal_retention": _keeping,
    "audit_retention": _keeping,
    "edit_trees": _yes_or_no,
    "old_secret_keys": _several,
    "allowed_hosts": _several,
    "codec_origins": _several,
    "log_format": _one_of("console", "json"),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "drain_delay": _span,
    "drain_timeout": _span,
    "max_cached_runs": _count,
    "max_actions": _count,
}
