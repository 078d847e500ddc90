"""What a provider does for the webhook: it tells genuine requests from all others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from hub.errors import Diagnostic
from hub.trigger import Request
from triggers.webhook.settings import Settings

__all__ = ["Provider"]


class Provider(ABC):
    """One way of proving that a request is genuine, configured for one webhook.

    It is made only of settings that `check` finds no fault with.
    """

    name: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def check(cls, settings: Settings) -> Iterator[Diagnostic]:
        """What is wrong with the settings, each fault with the field as its path."""

    @abstractmethod
    def verify(self, request: Request) -> None:
        """Prove the request on its raw bytes. Raises `BadSignature`."""
