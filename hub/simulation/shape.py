"""A value of the shape that an action's result has, for actions that nobody has given a result."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["example_of"]

_MAX_DEPTH = 8


def example_of(kind: Any, now: datetime) -> Any:
    """A plain JSON value that fits the type: empty texts and lists, zeros, defaults, `now`."""
    try:
        return _example(inspect.type_info(kind), now, 0)
    except TypeError:
        # A type that msgspec cannot describe says nothing about its shape.
        return None


def _example(kind: inspect.Type, now: datetime, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(kind, (inspect.StructType, inspect.TypedDictType, inspect.DataclassType)):
        return {
            field.encode_name: _field(field, now, depth)
            for field in kind.fields
            if field.required or not isinstance(kind, inspect.TypedDictType)
        }
    if isinstance(kind, inspect.UnionType):
        if any(isinstance(option, inspect.NoneType) for option in kind.types):
            return None
        return _example(kind.types[0], now, depth + 1)
    if isinstance(kind, inspect.Metadata):
        return _example(kind.type, now, depth + 1)
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, inspect.TupleType):
        return [_example(item, now, depth + 1) for item in kind.item_types]
    return _scalar(kind, now)


def _field(field: inspect.Field, now: datetime, depth: int) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default, str_keys=True)
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory(), str_keys=True)
    return _example(field.type, now, depth + 1)


def _scalar(kind: inspect.Type, now: datetime) -> Any:
    if isinstance(kind, inspect.StrType):
        return "" if not kind.min_length else "x" * kind.min_length
    if isinstance(kind, inspect.IntType):
        return max(0, kind.ge or 0, (kind.gt or -1) + 1)
    if isinstance(kind, inspect.FloatType):
        return float(max(0.0, kind.ge or 0.0, (kind.gt or -1.0) + 1.0))
    if isinstance(kind, inspect.BoolType):
        return True
    if isinstance(kind, inspect.DateTimeType):
        return now.isoformat()
    if isinstance(kind, (inspect.BytesType, inspect.ByteArrayType)):
        return base64.b64encode(b"").decode()
    if isinstance(
        kind, (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
    ):
        return []
    if isinstance(kind, inspect.DictType):
        return {}
    return None
