"""The settings of a process: `HUB_*` environment variables. `hub.yaml` holds those of a project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hub.errors import InvalidSetting

__all__ = ["Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `HUB_*` says, read and checked. Each field is `HUB_` and its name in capitals.

    `state` is the folder of the embedded parts' state, by default `.hub` in the project; it is
    taken from the working directory when it is relative. `base_url` is what links to the hub begin
    with, where it is reached under another address than the one that it listens on. `journal_url`
    is a database for the journal instead of a file in `state`.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    temporal_port: int = 7233
    temporal_ui_port: int = 8233
    smtp_port: int = 1025
    kafka_port: int = 9092
    state: Path | None = None
    base_url: str | None = None
    journal_url: str | None = None

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; an empty variable counts as one that is not set.

        Raises `InvalidSetting`, which names each variable that cannot be used and why.
        """
        values: dict[str, object] = {}
        faults: list[str] = []
        for field in msgspec.structs.fields(cls):
            variable = f"HUB_{field.name.upper()}"
            text = env.get(variable, "").strip()
            if not text:
                continue
            if field.type is int:
                if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
                    values[field.name] = int(text)
                else:
                    faults.append(f"{variable} is {text!r}; a port is a number from 1 to 65535")
            elif field.name == "state":
                values[field.name] = Path(text).expanduser().absolute()
            elif field.name == "base_url" and not text.startswith(("http://", "https://")):
                faults.append(
                    f"{variable} is {text!r}; write an address such as https://hub.example.com"
                )
            else:
                values[field.name] = text
        settings = cls(**values)  # type: ignore[arg-type]
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

    def _clashes(self) -> list[str]:
        names: dict[int, str] = {}
        faults = []
        for name in ("port", "temporal_port", "temporal_ui_port", "smtp_port", "kafka_port"):
            port, variable = getattr(self, name), f"HUB_{name.upper()}"
            if port in names:
                faults.append(
                    f"{names[port]} and {variable} are both {port}; each needs its own port"
                )
            names.setdefault(port, variable)
        return faults
