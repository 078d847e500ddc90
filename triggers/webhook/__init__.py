"""Webhooks: events that somebody posts to `/hooks/<name>`."""

from triggers.webhook.providers import PROVIDERS, Draft, Provider
from triggers.webhook.providers.basic import BasicSettings
from triggers.webhook.providers.bearer import BearerSettings
from triggers.webhook.providers.gitlab import GitLabSettings
from triggers.webhook.providers.hmac import HmacSettings
from triggers.webhook.providers.jwt import JwtSettings
from triggers.webhook.providers.sendgrid import SendGridSettings
from triggers.webhook.providers.twilio import TwilioSettings
from triggers.webhook.settings import Respond, Settings, TimedSettings
from triggers.webhook.webhook import Webhook

__all__ = [
    "PROVIDERS",
    "BasicSettings",
    "BearerSettings",
    "Draft",
    "GitLabSettings",
    "HmacSettings",
    "JwtSettings",
    "Provider",
    "Respond",
    "SendGridSettings",
    "Settings",
    "TimedSettings",
    "TwilioSettings",
    "Webhook",
]
