"""Bodies as the providers send them, written for these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

__all__ = ["payload"]


def payload(name: str) -> Any:
    """The payload of `bodies/<name>.json`, read anew each time."""
    return msgspec.json.decode((Path(__file__).parent / "bodies" / f"{name}.json").read_bytes())
