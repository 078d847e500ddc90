"""email: send mail through an SMTP server.

    connections:
      mail:
        email: {host: smtp.example.com, username: hub, password: "${{ env.SMTP_PASSWORD }}",
                from: "The Hub <hub@example.com>"}

Sources: RFC 5321 (SMTP), RFC 5322 (messages), RFC 3834 (automatic mail).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import aiosmtplib
import msgspec
from msgspec import Meta

from hub.connector import Call, Connector, action
from hub.durations import parse_duration
from hub.errors import ActionFailed, ActionRefused, InvalidDefinition, InvalidDuration
from hub.templates import Rendered, Templates, text_of

__all__ = ["Accepted", "Attachment", "Email", "Mail", "Refusal", "Settings"]

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HEADER = re.compile(
    r"(?i:X-[A-Za-z0-9-]+|List-[A-Za-z-]+|Auto-Submitted|Feedback-ID|Importance|In-Reply-To"
    r"|Precedence|Priority|References)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ADDRESS = re.compile(
    r"(?P<local>[^\s@<>()\[\]\\,;:\".]+(?:\.[^\s@<>()\[\]\\,;:\".]+)*)"
    r"@(?P<domain>[^\s@<>()\[\]\\,;:\".]+(?:\.[^\s@<>()\[\]\\,;:\".]+)*)"
)
_NAMED = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>]*?))\s*<(?P<spec>[^<>]*)>\s*'
)
_MEDIA_TYPE: Final = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+\Z"
_MAX_ADDRESS: Final = 254
_MAX_RECIPIENTS: Final = 500

_Text = Annotated[str, Meta(description="One address, plain or `Name <address>`")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """An account at an SMTP server."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the SMTP server")]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Its port; when left out 587, 465 or 25, by `tls`"),
    ] = None
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="`starttls` upgrades the connection, `tls` begins with TLS, `none` is open"
        ),
    ] = "starttls"
    ca_file: Annotated[
        str | None,
        Meta(
            description="Certificates to trust instead of the system's: a PEM file of the project"
        ),
    ] = None
    username: Annotated[str | None, Meta(description="User to log in as; none to send without")] = (
        None
    )
    password: Annotated[str | None, Meta(description="The user's password")] = None
    sender: Annotated[
        str | None, Meta(description="Sender of mails that name none, plain or `Name <address>`")
    ] = None
    timeout: Annotated[
        float,
        Meta(gt=0, le=600, description="Longest wait for one answer of the server, in seconds"),
    ] = 20.0
    max_size: Annotated[
        int, Meta(ge=1024, description="Largest mail that is sent, in bytes, attachments included")
    ] = 25 * 1024 * 1024


class Attachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that goes along. Exactly one of `content` and `content_base64` is given."""

    name: Annotated[str, Meta(min_length=1, max_length=255, description="File name, no folders")]
    content: Annotated[str | None, Meta(description="Content as text, sent as UTF-8")] = None
    content_base64: Annotated[str | None, Meta(description="Content as base64")] = None
    type: Annotated[
        Annotated[str, Meta(pattern=_MEDIA_TYPE)] | None,
        Meta(description="Media type; guessed from the name when left out"),
    ] = None


class Mail(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One mail: either `template`, or `subject` with `text`, `html` or both."""

    to: Annotated[
        _Text | Annotated[list[_Text], Meta(min_length=1)],
        Meta(description="Recipients: one address or a list of them"),
    ]
    subject: Annotated[
        str | None, Meta(description="Subject, one line; beside a template it replaces its subject")
    ] = None
    text: Annotated[str | None, Meta(description="Body as plain text")] = None
    html: Annotated[str | None, Meta(description="Body as HTML")] = None
    template: Annotated[
        str | None, Meta(description="Name of a template in the project's `templates` folder")
    ] = None
    data: Annotated[
        dict[str, Any], Meta(description="Values for the template, which reads them as `data`")
    ] = {}
    cc: Annotated[_Text | list[_Text], Meta(description="Recipients of a copy, seen by all")] = []
    bcc: Annotated[_Text | list[_Text], Meta(description="Recipients that no other one sees")] = []
    reply_to: Annotated[
        _Text | list[_Text], Meta(description="Where answers go, if not to the sender")
    ] = []
    from_: Annotated[str | None, Meta(description="Sender, if not the connection's")] = None
    attachments: Annotated[list[Attachment], Meta(description="Files that go along")] = []
    headers: Annotated[
        dict[str, str],
        Meta(
            description="More headers: `X-...`, `List-...`, `In-Reply-To`, `References` and the like"
        ),
    ] = {}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient that the server did not take."""

    address: Annotated[str, Meta(description="The recipient's address")]
    code: Annotated[int, Meta(description="The server's reply code; 4xx is for now, 5xx for good")]
    message: Annotated[str, Meta(description="The server's reply")]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the server said of a mail that it took for at least one recipient."""

    message_id: Annotated[str, Meta(description="The mail's Message-ID, the same in every attempt")]
    accepted: Annotated[list[str], Meta(description="Recipients that the server took the mail for")]
    refused: Annotated[list[Refusal], Meta(description="Recipients that it did not")] = []


class Email(Connector):
    """Sends mail by SMTP."""

    name: ClassVar[str] = "email"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._templates = Templates(project / "templates")
        self._tls: ssl.SSLContext | None = None

    @action(timeout=timedelta(minutes=2), needs_scope=True)
    async def send(self, mail: Mail, call: Call) -> Accepted:
        """Send one mail.

        The mail is accepted when the server took it for at least one recipient; those it did not
        take are in `refused`. A repeated attempt carries the same Message-ID.
        """
        sender = self._sender(mail)
        to, cc, bcc = (_addresses(f, getattr(mail, f)) for f in ("to", "cc", "bcc"))
        recipients = list(dict.fromkeys(address.addr_spec for address in (*to, *cc, *bcc)))
        if len(recipients) > _MAX_RECIPIENTS:
            raise _invalid("to", f"a mail has at most {_MAX_RECIPIENTS} recipients")
        message = EmailMessage(policy=SMTP_POLICY)
        message_id = _message_id(call.idempotency_key, sender.domain)
        body = self._body(mail, call)
        try:
            message["From"] = sender
            message["To"] = to
            if cc:
                message["Cc"] = cc
            if mail.reply_to != []:
                message["Reply-To"] = _addresses("reply_to", mail.reply_to)
            message["Subject"] = body.subject
            message["Date"] = format_datetime(datetime.now(UTC))
            message["Message-ID"] = message_id
            _add_headers(message, mail.headers)
            message.set_content(body.text)
            if body.html is not None:
                message.add_alternative(body.html, subtype="html")
            for index, attachment in enumerate(mail.attachments):
                _attach(message, attachment, f"attachments[{index}]")
            size = len(message.as_bytes())
        except (UnicodeError, ValueError, LookupError) as error:
            raise ActionRefused(
                "invalid_input", f"email.send: the mail cannot be built: {error}"
            ) from None
        if size > self.settings.max_size:
            raise ActionRefused(
                "too_large",
                f"the mail has {size:,} bytes; the connection sends at most "
                f"{self.settings.max_size:,} (`max_size`)",
            )
        refused = await self._deliver(message, sender.addr_spec, recipients)
        addresses = {refusal.address for refusal in refused}
        return Accepted(
            message_id=message_id,
            accepted=[address for address in recipients if address not in addresses],
            refused=refused,
        )

    def _sender(self, mail: Mail) -> Address:
        given = self.settings.sender if mail.from_ is None else mail.from_
        if given is None and self.settings.host in _LOOPBACK:
            return Address("", "hub", "localhost")
        if given is None:
            raise _invalid("from", "is required: give it here or in the connection's settings")
        return _address("from", given)

    def _body(self, mail: Mail, call: Call) -> Rendered:
        if mail.template is None:
            if mail.subject is None:
                raise _invalid("subject", "is required without a template")
            if mail.text is None and mail.html is None:
                raise _invalid("text", "is required without a template, or `html`")
            return Rendered(
                subject=_one_line("subject", mail.subject),
                text=_clean(mail.text)
                if mail.text is not None
                else text_of(_clean(mail.html or "")),
                html=None if mail.html is None else _clean(mail.html),
            )
        if mail.text is not None or mail.html is not None:
            raise _invalid("template", "cannot stand beside `text` or `html`")

        def callback(subscription: str, expires: str | int | timedelta | None = None) -> str:
            try:
                within = None if expires is None else parse_duration(expires)
            except InvalidDuration as error:
                raise ValueError(error.message) from None
            return call.callback(subscription, expires=within)

        scope = {**call.scope, "data": mail.data, "callback": callback}
        try:
            rendered = self._templates.render(mail.template, scope)
        except InvalidDefinition as error:
            raise ActionRefused("template", error.message) from None
        subject = rendered.subject if mail.subject is None else _one_line("subject", mail.subject)
        return Rendered(
            subject=_clean(subject),
            text=_clean(rendered.text),
            html=None if rendered.html is None else _clean(rendered.html),
        )

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            given = self.settings.ca_file
            try:
                cafile = None if given is None else str(self.project / given)
                self._tls = ssl.create_default_context(cafile=cafile)
            except OSError:
                raise ActionRefused(
                    "invalid_settings", f"the file {given} (`ca_file`) cannot be read as PEM"
                ) from None
        return self._tls

    def address(self) -> str:
        """The server's host and port."""
        return f"{self.settings.host}:{self._port()}"

    async def check(self) -> str:
        """Log in and leave again."""
        client = self._client()
        try:
            await client.connect()
            await client.noop()
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error, self.address()) from None
        finally:
            await _leave(client)
        as_whom = f" as {self.settings.username}" if self.settings.username else ""
        return f"the server takes us{as_whom}"

    async def _deliver(
        self, message: EmailMessage, sender: str, recipients: Sequence[str]
    ) -> list[Refusal]:
        client = self._client()
        try:
            await client.connect()
            replies, _ = await client.send_message(message, sender=sender, recipients=recipients)
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error, self.address()) from None
        finally:
            await _leave(client)
        return [
            Refusal(address=address, code=int(reply.code), message=reply.message)
            for address, reply in replies.items()
        ]

    def _port(self) -> int:
        return self.settings.port or _PORTS[self.settings.tls]

    def _client(self) -> aiosmtplib.SMTP:
        settings = self.settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=self._port(),
            # Otherwise it is looked up in DNS, which may take longer than the mail.
            local_hostname=socket.gethostname(),
            timeout=settings.timeout,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=None if settings.tls == "none" else self._context(),
            username=settings.username,
            password=settings.password,
        )


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. The mail's fate is settled by now, so nothing that goes wrong here counts."""
    try:
        if client.is_connected:
            await client.quit(timeout=1)
    except (TimeoutError, aiosmtplib.SMTPException, OSError):
        pass
    finally:
        client.close()


def _failure(error: Exception, place: str) -> ActionFailed:
    """What an error of the SMTP client means for the run: try again, or do not."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            said = "; ".join(f"{r.recipient}: {r.code} {r.message}" for r in error.recipients)
            if any(refusal.code < 500 for refusal in error.recipients):
                return ActionFailed(
                    "smtp_temporary", f"{place} takes no recipient just now: {said}"
                )
            return ActionRefused("smtp_rejected", f"{place} takes none of the recipients: {said}")
        case aiosmtplib.SMTPAuthenticationError() if error.code >= 500:
            return ActionRefused(
                "smtp_auth",
                f"{place} refuses the login ({error.code}): check username and password",
            )
        case aiosmtplib.SMTPResponseException() if error.code >= 500:
            return ActionRefused("smtp_rejected", f"{place} says {error.code} {error.message}")
        case aiosmtplib.SMTPResponseException() if error.code >= 400:
            return ActionFailed("smtp_temporary", f"{place} says {error.code} {error.message}")
        case aiosmtplib.SMTPResponseException():
            return ActionFailed("smtp_protocol", f"{place} does not answer like an SMTP server")
        case aiosmtplib.SMTPNotSupported():
            return ActionRefused("smtp_unsupported", f"{place}: {error.message}")
        case aiosmtplib.SMTPException() if type(error) is aiosmtplib.SMTPException:
            # No STARTTLS, no AUTH, or no way of AUTH in common.
            return ActionRefused("smtp_unsupported", f"{place}: {error.message}")
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return ActionFailed("smtp_timeout", f"{place} did not answer in time")
        case aiosmtplib.SMTPServerDisconnected():
            return ActionFailed("smtp_unavailable", f"{place} closed the connection")
        case _ if _certificate_problem(error):
            return ActionRefused(
                "smtp_tls",
                f"the certificate of {place} cannot be trusted: {_certificate_problem(error)}",
            )
        case ssl.SSLError():
            return ActionFailed("smtp_tls", f"no TLS connection to {place}: {error.reason}")
        case _:
            return ActionFailed("smtp_unavailable", f"{place} cannot be reached: {error}")


def _certificate_problem(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__
    return None


def _message_id(idempotency_key: str, domain: str) -> str:
    digest = hashlib.sha256(idempotency_key.encode()).hexdigest()[:40]
    return f"<{digest}@{domain}>"


def _addresses(field: str, given: str | Iterable[str]) -> list[Address]:
    if isinstance(given, str):
        return [_address(field, given)]
    return [_address(f"{field}[{index}]", text) for index, text in enumerate(given)]


def _address(field: str, text: str) -> Address:
    """One address, plain or with a name.

    Exactly one: an address that comes out of an event must not bring further recipients along.
    """
    name, spec = "", text.strip()
    if _CONTROL.search(text):
        raise _invalid(field, "an address has no line breaks or control characters")
    if named := _NAMED.fullmatch(text):
        name = (
            named["plain"] if named["quoted"] is None else re.sub(r"\\(.)", r"\1", named["quoted"])
        )
        spec = named["spec"].strip()
    found = _ADDRESS.fullmatch(spec)
    if found is None or len(spec) > _MAX_ADDRESS:
        raise _invalid(field, "must be one mail address, such as `ada@example.com`")
    try:
        # An international name is sent in its ASCII form, which every server understands.
        domain = found["domain"].encode("idna").decode("ascii")
        found["local"].encode("utf-8")
        return Address(_clean(name).strip(), found["local"], domain)
    except (UnicodeError, ValueError):
        raise _invalid(field, "must be one mail address, such as `ada@example.com`") from None


def _one_line(field: str, text: str) -> str:
    if _CONTROL.search(text):
        raise _invalid(field, "must be one line")
    return _clean(text)


def _clean(text: str) -> str:
    """The text without lone surrogates, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _add_headers(message: EmailMessage, headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise _invalid(f"headers.{name}", "this header cannot be set; `X-...` headers can")
        message[name] = _one_line(f"headers.{name}", value)
    if "Auto-Submitted" not in message:
        message["Auto-Submitted"] = "auto-generated"


def _attach(message: EmailMessage, attachment: Attachment, path: str) -> None:
    name = _one_line(f"{path}.name", attachment.name)
    if "/" in name or "\\" in name:
        raise _invalid(f"{path}.name", "must be a file name without folders")
    if (attachment.content is None) == (attachment.content_base64 is None):
        raise _invalid(path, "needs either `content` or `content_base64`")
    if attachment.content is not None:
        content = _clean(attachment.content).encode()
    else:
        try:
            content = base64.b64decode(attachment.content_base64 or "", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid(f"{path}.content_base64", "is no base64") from None
    kind = attachment.type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    main, _, sub = kind.partition("/")
    parameters = {"charset": "utf-8"} if main == "text" and attachment.content is not None else {}
    if main in ("message", "multipart"):
        # These are structure, not files, to the mail library: sent as bytes they stay as they are.
        main, sub = "application", "octet-stream"
    message.add_attachment(content, maintype=main, subtype=sub, filename=name, params=parameters)


def _invalid(field: str, message: str) -> ActionRefused:
    return ActionRefused("invalid_input", f"email.send: {field}: {message}")
