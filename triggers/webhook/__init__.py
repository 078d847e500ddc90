"""Webhooks: events that somebody posts to `/hooks/<name>`."""

from triggers.webhook.providers import PROVIDERS
from triggers.webhook.providers.provider import Provider
from triggers.webhook.settings import Settings
from triggers.webhook.webhook import Webhook

__all__ = ["PROVIDERS", "Provider", "Settings", "Webhook"]
