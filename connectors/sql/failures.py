"""What an error of a database means for the run: try again, or do not.

Sources: SQLSTATE classes (ISO/IEC 9075; PostgreSQL manual, appendix A), SQLite result codes, MySQL
error numbers.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.errors import ActionFailed, ActionRefused

__all__ = ["failure_of"]

_AWAY: Final = {"08", "57", "58", "53", "55"}
_BUSY: Final = {"40"}
_LOGIN: Final = {"28", "3D"}
_MYSQL_BUSY: Final = {1205, 1213}
_MYSQL_AWAY: Final = {1040, 1053, 2002, 2003, 2006, 2013}
_MYSQL_LOGIN: Final = {1044, 1045, 1049}
_SHOWN: Final = 300


def failure_of(error: Exception, place: str) -> ActionFailed:
    """The failure for an error while a statement was run, in the database's own words.

    Neither the statement nor its values are told, only what the driver says of them.
    """
    if isinstance(error, (TimeoutError, PoolTimeout)):
        if isinstance(error, PoolTimeout):
            return ActionFailed("sql_busy", f"{place}: all connections are in use")
        return ActionFailed("sql_timeout", f"{place} did not come to an end in time")
    original = error.orig if isinstance(error, StatementError) else error
    said = _said(original)
    if isinstance(original, sqlite3.Error):
        return _sqlite(original, said, place)
    state = _sqlstate(original)
    if state is not None:
        if state == "57014":
            return ActionFailed("sql_timeout", f"{place} did not come to an end in time")
        if state[:2] in _BUSY or state == "55P03":
            return ActionFailed("sql_busy", f"{place}: {said}")
        if state[:2] in _LOGIN:
            return ActionRefused("sql_login", f"{place} refuses the login: check the URL")
        if state[:2] in _AWAY:
            return ActionFailed("sql_unreachable", f"{place} is away just now: {said}")
        if state[:2] == "23":
            return ActionRefused("sql_constraint", f"{place}: {said}")
        if state == "25006":
            return ActionRefused("sql_read_only", f"{place}: a query changes nothing: {said}")
        return ActionRefused("sql_rejected", f"{place}: {said}")
    number = original.args[0] if original is not None and original.args else None
    if isinstance(number, int) and not isinstance(original, OSError):
        if number in _MYSQL_BUSY:
            return ActionFailed("sql_busy", f"{place}: {said}")
        if number in _MYSQL_AWAY:
            return ActionFailed("sql_unreachable", f"{place} is not reached just now")
        if number in _MYSQL_LOGIN:
            return ActionRefused("sql_login", f"{place} refuses the login: check the URL")
        if number in (1792,):
            return ActionRefused("sql_read_only", f"{place}: a query changes nothing: {said}")
        return ActionRefused("sql_rejected", f"{place}: {said}")
    if isinstance(error, (OSError, InterfaceError)) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        if isinstance(error, InterfaceError) and not error.connection_invalidated:
            # The driver's own: a value that does not fit the type which the statement gives it.
            return ActionRefused("sql_rejected", f"{place}: {said}")
        return ActionFailed("sql_unreachable", f"{place} is not reached just now")
    if isinstance(error, (DBAPIError, ArgumentError, SQLAlchemyError)):
        return ActionRefused("sql_rejected", f"{place}: {said}")
    return ActionFailed("sql_unreachable", f"{place} is not reached just now")


def _sqlite(error: sqlite3.Error, said: str, place: str) -> ActionFailed:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ActionFailed("sql_busy", f"{place}: {said}")
    if name.startswith("SQLITE_INTERRUPT"):
        return ActionFailed("sql_timeout", f"{place} did not come to an end in time")
    if name.startswith("SQLITE_CONSTRAINT"):
        return ActionRefused("sql_constraint", f"{place}: {said}")
    if name.startswith("SQLITE_READONLY"):
        return ActionRefused("sql_read_only", f"{place}: a query changes nothing: {said}")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")):
        return ActionFailed("sql_unreachable", f"{place}: {said}")
    return ActionRefused("sql_rejected", f"{place}: {said}")


def _sqlstate(error: BaseException | None) -> str | None:
    found = error
    while found is not None:
        state = getattr(found, "sqlstate", None)
        if isinstance(state, str) and len(state) == 5:
            return state
        found = found.__cause__
    return None


def _said(error: BaseException | None) -> str:
    text = str(error) if error is not None else "it is refused"
    text = re.sub(r"^<class '[^']*'>: ", "", text)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
