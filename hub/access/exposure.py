"""Beyond this machine nobody listens without sign-in."""

from __future__ import annotations

from hub.access.access import Access
from hub.errors import InvalidSetting
from hub.sign_in import is_loopback_name

__all__ = ["check_exposure"]


async def check_exposure(host: str, access: Access) -> None:
    """Raises `InvalidSetting` for a host that others can reach while nobody could sign in.

    That is so until there is a provider in `hub.yaml`, a local user, or a token.
    """
    if is_loopback_name(host) or await access.is_set_up():
        return
    raise InvalidSetting(
        f"HUB_HOST is {host!r}, but nobody can sign in yet, so the hub listens on this machine "
        "alone; make a user (`hub users create NAME --role admin`) or a token (`hub tokens create "
        "NAME --role admin`), or add a provider to `auth:` in hub.yaml"
    )
