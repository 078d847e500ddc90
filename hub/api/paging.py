"""Pages of a list that is at hand as a whole, in the order of its names."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from hub.errors import BadRequest

__all__ = ["Limit", "page_of"]

_Item = TypeVar("_Item")

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


def page_of(
    items: Sequence[_Item], name: Callable[[_Item], str], limit: int, cursor: str | None
) -> tuple[list[_Item], str | None]:
    """The items after the cursor, and the cursor of the rest; names are unique.

    The cursor says after which name to go on, so it holds while items come and go. Raises
    `BadRequest` for a text that is no cursor.
    """
    ordered = sorted(items, key=name)
    if cursor is not None:
        after = _read(cursor)
        ordered = [item for item in ordered if name(item) > after]
    page = ordered[:limit]
    return page, _make(name(page[-1])) if len(ordered) > limit else None


def _make(name: str) -> str:
    packed = b"n" + name.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(text: str) -> str:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if not plain.startswith(b"n"):
            raise ValueError
        return plain[1:].decode("utf-8", "surrogatepass")
    except (ValueError, binascii.Error):
        raise BadRequest("this is no cursor of this list; start again without one") from None
