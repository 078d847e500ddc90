"""How each provider proves that a request is its own: one module each, and the table of them."""

from collections.abc import Mapping
from types import MappingProxyType

from triggers.webhook.providers.hmac import Hmac
from triggers.webhook.providers.none import Unverified
from triggers.webhook.providers.provider import Provider

__all__ = ["PROVIDERS"]

PROVIDERS: Mapping[str, type[Provider]] = MappingProxyType(
    {kind.name: kind for kind in (Hmac, Unverified)}
)
"""Every provider by the name that `provider:` calls it by."""
