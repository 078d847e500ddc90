"""How each provider proves that a request is its own: one module each, and the table of them."""

from collections.abc import Mapping
from types import MappingProxyType

from triggers.webhook.providers.basic import Basic
from triggers.webhook.providers.bearer import Bearer
from triggers.webhook.providers.github import GitHub
from triggers.webhook.providers.gitlab import GitLab
from triggers.webhook.providers.hmac import Hmac
from triggers.webhook.providers.jwt import Jwt
from triggers.webhook.providers.none import Unverified
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.sendgrid import SendGrid
from triggers.webhook.providers.shopify import Shopify
from triggers.webhook.providers.slack import Slack
from triggers.webhook.providers.standard_webhooks import StandardWebhooks
from triggers.webhook.providers.stripe import Stripe
from triggers.webhook.providers.twilio import Twilio
from triggers.webhook.providers.zoom import Zoom

__all__ = ["PROVIDERS", "Draft", "Provider"]

_KINDS: tuple[type[Provider], ...] = (
    Hmac,
    Bearer,
    Basic,
    Jwt,
    StandardWebhooks,
    GitHub,
    GitLab,
    Stripe,
    Slack,
    Shopify,
    Twilio,
    SendGrid,
    Zoom,
    Unverified,
)
PROVIDERS: Mapping[str, type[Provider]] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every provider by the name that `provider:` calls it by."""
