"""Databases: queries, changes and transactions with bound parameters."""

from connectors.sql.sql import Sql

__all__ = ["Sql"]
