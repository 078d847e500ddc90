"""The `auth:` section of `hub.yaml`: how people sign in.

```yaml
auth:
  session: 12h                          # how long a sign-in lasts
  passwords: true                       # local users, made by `hub users create`
  oidc:
    issuer: https://login.example.com   # what /.well-known/openid-configuration is under
    client_id: hub
    client_secret: ${{ env.OIDC_CLIENT_SECRET }}
    scopes: [openid, email, profile, groups]
    name: email                         # the claim that names a person; approvals ask by it
    groups: groups                      # the claim with a person's groups; `a.b` looks deeper
    roles:
      hub-admins: admin
      engineering: [operator, approver]
    everyone: [viewer]                  # what each who signs in there has; nothing by default
```
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hub.durations import parse_duration
from hub.errors import Diagnostic, InvalidDuration
from hub.fitting import fit
from hub.roles import ROLES, Role

__all__ = ["OidcSettings", "SignInSettings", "is_loopback_name", "read_sign_in"]

_LONGEST = timedelta(days=30)


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID Connect provider, and what its groups may do here. See the module."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "email", "profile"])
    name: str = "email"
    groups: str = "groups"
    roles: dict[str, Role | list[Role]] = {}
    everyone: Role | list[Role] = []
    label: str = "Single sign-on"

    def roles_of(self, groups: list[str]) -> list[Role]:
        """The roles of a person who is in these groups."""
        found = set(_listed(self.everyone))
        for group in groups:
            found.update(_listed(self.roles.get(group, [])))
        return [role for role in ROLES if role in found]


class SignInSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How people sign in. `session` is a duration."""

    session: str = "12h"
    passwords: bool = True
    oidc: OidcSettings | None = None

    @property
    def lasts(self) -> timedelta:
        """How long a sign-in lasts."""
        return parse_duration(self.session)


def read_sign_in(value: Any, path: str = "auth") -> tuple[SignInSettings | None, list[Diagnostic]]:
    """The section's settings, its secrets resolved; or None and all that is wrong with it."""
    if value is None:
        return SignInSettings(), []
    settings, problems = fit(value, SignInSettings, path)
    if isinstance(value, Mapping) and isinstance(value.get("oidc"), Mapping):
        _, inner = fit(value["oidc"], OidcSettings, f"{path}.oidc")
        problems = [one for one in problems if not one.path.startswith(f"{path}.oidc")] + inner
    if settings is None or problems:
        return None, problems
    try:
        if not timedelta(minutes=1) <= settings.lasts <= _LONGEST:
            raise InvalidDuration(f"a sign-in lasts from a minute to {_LONGEST.days} days")
    except InvalidDuration as error:
        problems.append(Diagnostic(message=error.message, path=f"{path}.session"))
    if settings.oidc is not None:
        problems += _check_oidc(settings.oidc, f"{path}.oidc")
    return (None, problems) if problems else (settings, [])


def is_loopback_name(host: str) -> bool:
    """Whether a host name means this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_oidc(oidc: OidcSettings, path: str) -> list[Diagnostic]:
    problems = []
    try:
        issuer = urlsplit(oidc.issuer)
        host = issuer.hostname or ""
    except ValueError:
        host = ""
    if not host or not (
        issuer.scheme == "https" or (issuer.scheme == "http" and is_loopback_name(host))
    ):
        problems.append(
            Diagnostic(
                message="the issuer is an https address, such as https://login.example.com",
                path=f"{path}.issuer",
            )
        )
    if "openid" not in oidc.scopes:
        problems.append(Diagnostic(message="the scopes hold `openid`", path=f"{path}.scopes"))
    if not oidc.roles and not oidc.everyone:
        problems.append(
            Diagnostic(
                message="nobody who signs in there may do anything",
                path=path,
                suggestion="add `roles: {<group>: viewer}`, or `everyone: viewer`",
            )
        )
    return problems


def _listed(roles: Role | list[Role]) -> list[Role]:
    return list(roles) if isinstance(roles, list) else [roles]
