"""PostgreSQL in JSON's terms: the types that JSON does not have go both ways as their texts.

asyncpg wants a `date` for a date and a `Decimal` for a number; what a tree has is text. With text
codecs the server reads and writes these itself, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["speak_text"]


def _time(text: str) -> str:
    """RFC 3339 of PostgreSQL's `2026-01-02 03:04:05+00`; `infinity` stays as it is."""
    date, space, time = text.partition(" ")
    if not space or " " in time:
        return text
    if time[-3] in "+-":
        time = time[:-3] + ("Z" if time.endswith("+00") else time[-3:] + ":00")
    return f"{date}T{time}"


_CODECS: Final[dict[str, Callable[[str], str]]] = {
    **dict.fromkeys(("date", "time", "timetz", "interval", "numeric", "uuid", "inet", "cidr"), str),
    **dict.fromkeys(("timestamp", "timestamptz"), _time),
}


def speak_text(connection: Any, record: object) -> None:
    """Set the codecs of a new connection. SQLAlchemy calls this for its `connect` event."""
    for name, decode in _CODECS.items():
        connection.run_async(_setting(name, decode))


def _setting(name: str, decode: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda driver: driver.set_type_codec(
        name, schema="pg_catalog", encoder=str, decoder=decode, format="text"
    )
