"""`provider: gitlab`: projects, groups and instances of GitLab.

Source: GitLab Docs, "Webhooks" and "Webhook events". A signing token signs id, time and body as the
Standard Webhooks specification has it; the older secret token is only sent along and covers
nothing. GitLab wants a 2xx within 10 seconds, and switches a hook off that fails too often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.durations import parse_duration
from hub.errors import BadRequest, BadSignature, Diagnostic
from hub.payload import read_json
from hub.trigger import Request
from triggers.webhook.providers import checks
from triggers.webhook.providers.fields import digest_of, find, moment_of, text_of
from triggers.webhook.providers.provider import Draft, Provider
from triggers.webhook.providers.signature import presented, same_text
from triggers.webhook.providers.standard_webhooks import key_faults, read_keys, verify_standard
from triggers.webhook.settings import TimedSettings

__all__ = ["GitLab", "GitLabSettings"]

_SIGNS = {"merge_request": "!"}


class GitLabSettings(TimedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook of GitLab.

    `signing_token` (`whsec_...`) verifies the signature, `secret` the plain `X-Gitlab-Token`. At
    least one is needed, the signing token if the GitLab is new enough to have it; where both are
    set, both must be right. Either may be a list while it is rotated.
    """

    signing_token: str | list[str] | None = None

    @property
    def signing_tokens(self) -> list[str]:
        """The signing tokens as a list, without empty ones."""
        given = self.signing_token
        return [token for token in ([given] if isinstance(given, str) else given or []) if token]


class GitLab(Provider):
    """`Webhook-Signature` by the signing token, or `X-Gitlab-Token`."""

    name = "gitlab"
    settings_type = GitLabSettings

    def __init__(self, settings: GitLabSettings) -> None:
        super().__init__(settings)
        self._tokens = [secret.encode() for secret in settings.secrets]
        self._keys = read_keys(settings.signing_tokens)
        self._tolerance = parse_duration(settings.tolerance)

    @classmethod
    def check(cls, settings: GitLabSettings) -> Iterator[Diagnostic]:
        yield from checks.tolerance(settings)
        given = settings.signing_token
        if given is not None and (not given or not all(given)):
            yield Diagnostic(
                message="the signing token is empty, so anybody could sign",
                path="signing_token",
                code="missing_secret",
                suggestion="signing_token: ${{ env.GITLAB_SIGNING_TOKEN }}",
            )
        if given is None or settings.secret is not None:
            yield from checks.secret_given(settings, "GITLAB_WEBHOOK_TOKEN")
        yield from key_faults("signing_token", settings.signing_tokens)

    async def verify(self, request: Request) -> None:
        if self._tokens:
            token = presented(request, "x-gitlab-token")
            if not same_text(self._tokens, token.encode("utf-8", "surrogatepass")):
                raise BadSignature("the header 'x-gitlab-token' is not the secret")
        if self._keys.shared or self._keys.public:
            verify_standard(request, self._keys, self._tolerance)

    def read(self, request: Request) -> tuple[Any, bool]:
        return read_json(request.body), False

    def draft(self, request: Request, body: Any) -> Sequence[Draft]:
        """The id is the signed one where there is a signature, else the header of the delivery."""
        kind = text_of(find(body, "object_kind")) or text_of(find(body, "event_name"))
        if kind is None:
            raise BadRequest("that is no event of GitLab: it has no object_kind and no event_name")
        action = text_of(find(body, "object_attributes", "action"))
        is_signed = bool(self._keys.shared or self._keys.public)
        id_header = "webhook-id" if is_signed else "idempotency-key"
        return [
            Draft(
                body=body,
                id=text_of(request.headers.get(id_header)) or digest_of(request.body),
                type=f"{kind}.{action}" if action else kind,
                subject=_subject(kind, body),
                time=moment_of(request.headers.get("webhook-timestamp")) if is_signed else None,
                data=body,
            )
        ]


def _subject(kind: str, body: Any) -> str | None:
    project = text_of(find(body, "project", "path_with_namespace")) or text_of(
        find(body, "path_with_namespace")
    )
    number = find(body, "object_attributes", "iid")
    if project is None or not isinstance(number, int):
        return project
    return f"{project}{_SIGNS.get(kind, '#')}{number}"
