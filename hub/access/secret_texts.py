"""Secrets that the hub gives out, and how it knows them again without keeping them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

__all__ = ["csrf_of", "digest", "same", "secret"]


def secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> bytes:
    """What is kept of a secret. It is random and long, so no slow hash is needed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def same(a: str, b: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(digest(a), digest(b))


def csrf_of(session: str) -> str:
    """What a page of this session, and no other page, can bring along."""
    made = hmac.digest(session.encode("utf-8", "surrogatepass"), b"hub/csrf", "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
