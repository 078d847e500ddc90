"""Who may call the management side: people, their sessions, API tokens, and OpenID Connect."""

from hub.access.access import Access, SessionGiven, Ways
from hub.access.caller import Caller
from hub.access.exposure import check_exposure
from hub.access.people import Person
from hub.access.tokens import TokenGiven, TokenInfo

__all__ = [
    "Access",
    "Caller",
    "Person",
    "SessionGiven",
    "TokenGiven",
    "TokenInfo",
    "Ways",
    "check_exposure",
]
