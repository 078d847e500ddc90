"""Roles: what a person or a token may do.

| role | may | includes |
|---|---|---|
| `viewer` | see runs, events, trees, triggers, schedules and approvals | |
| `approver` | see approvals, and decide those that name them | |
| `operator` | send and replay events; cancel and end runs; trigger and pause schedules | `viewer` |
| `editor` | save trees, and move runs to them | `operator` |
| `admin` | people, tokens, and the audit log | `editor`, `approver` |

`approver` stands beside the others: who runs the hub does not thereby approve what it asks, and who
approves needs to see nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

__all__ = ["ROLES", "Role", "includes", "is_allowed"]

Role = Literal["viewer", "approver", "operator", "editor", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

_INCLUDES: Final[dict[Role, frozenset[Role]]] = {
    "viewer": frozenset({"viewer"}),
    "approver": frozenset({"approver"}),
    "operator": frozenset({"operator", "viewer"}),
    "editor": frozenset({"editor", "operator", "viewer"}),
    "admin": frozenset(ROLES),
}


def includes(roles: Iterable[Role]) -> frozenset[Role]:
    """All roles that somebody with these roles has."""
    return frozenset().union(*(_INCLUDES[role] for role in roles))


def is_allowed(roles: Iterable[Role], wanted: Iterable[Role]) -> bool:
    """Whether one of the roles is, or includes, one of those that are wanted."""
    return not includes(roles).isdisjoint(wanted)
