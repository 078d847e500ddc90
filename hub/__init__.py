"""An event-triggered integration hub: events start and resume trees that run on Temporal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.library import Tree

__all__ = ["Tree", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: most commands start without it.
    if name == "Tree":
        from temporalio import workflow

        # A program that has workflows of its own is imported again in their sandbox.
        with workflow.unsafe.imports_passed_through():
            from hub.library import Tree

        return Tree
    raise AttributeError(f"module 'hub' has no {name!r}")
