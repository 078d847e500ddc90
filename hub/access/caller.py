"""Who calls: a person or a program, how the hub knows, and what they may do."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from hub.audit import Actor, How
from hub.roles import Role, is_allowed

__all__ = ["Caller"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody the hub knows.

    `on_behalf` lets them decide in the name of others. `csrf` is what a request that changes
    something must bring along where the caller is known by a cookie, None elsewhere. `owner` is the
    person whose token it is; None for a token that is nobody's own.
    """

    name: str
    how: How
    roles: frozenset[Role]
    on_behalf: bool = False
    credential: str | None = None
    owner: str | None = None
    csrf: str | None = None
    address: str | None = None

    def may(self, roles: Collection[Role]) -> bool:
        """Whether they have one of the roles."""
        return is_allowed(self.roles, roles)

    def actor(self) -> Actor:
        """The caller as the audit log writes it."""
        return Actor(who=self.name, how=self.how, credential=self.credential, address=self.address)
