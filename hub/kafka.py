"""Clusters of Kafka: the settings by which a trigger or a connector reaches one."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import tempfile
from typing import Annotated, Any, Literal

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
from msgspec import Meta

from hub.errors import Diagnostic

__all__ = [
    "REFUSED_ACCESS",
    "Security",
    "cause_of",
    "check_brokers",
    "check_security",
    "client_options",
    "quiet_client",
    "reason_of",
    "start_producer",
    "stop_producer",
]

REFUSED_ACCESS: tuple[type[KafkaError], ...] = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
"""What brokers answer to those whom they do not let in."""


class Security(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How brokers are reached over TLS and by whom; without any of it, openly and by nobody."""

    tls: Annotated[bool, Meta(description="Whether connections are encrypted")] = False
    ca: Annotated[
        str | None,
        Meta(
            description="Certificates to trust instead of the system's, as PEM text, usually "
            "`${{ file('certs/ca.pem') }}`"
        ),
    ] = None
    certificate: Annotated[
        str | None, Meta(description="The client's own certificate, as PEM text")
    ] = None
    private_key: Annotated[
        str | None, Meta(description="The key of the client's certificate, as PEM text")
    ] = None
    check_hostname: Annotated[
        bool, Meta(description="Whether a broker's certificate must be for its host name")
    ] = True
    mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None,
        Meta(description="The SASL mechanism to log in by; none to log in as nobody"),
    ] = None
    username: Annotated[str | None, Meta(description="The user to log in as")] = None
    password: Annotated[str | None, Meta(description="The user's password")] = None

    def __repr__(self) -> str:
        return f"<security, tls {self.tls}, mechanism {self.mechanism!r}>"


def check_brokers(brokers: str | list[str]) -> list[Diagnostic]:
    """What is wrong with addresses of brokers: each is `host:port`, several as a list or text."""
    wrong = [one for one in _addresses(brokers) if not _is_address(one)]
    if wrong or not _addresses(brokers):
        said = ", ".join(map(repr, wrong)) or "nothing"
        return [
            Diagnostic(
                message=f"{said} is no broker's address",
                path="brokers",
                code="invalid_value",
                suggestion="such as kafka-1.example.com:9092, or a list of these",
            )
        ]
    return []


def check_security(security: Security | None) -> list[Diagnostic]:
    """What does not fit together in these settings."""
    if security is None:
        return []
    faults: list[Diagnostic] = []
    if security.mechanism is not None and not (security.username and security.password):
        faults.append(
            Diagnostic(
                message=f"{security.mechanism} needs a `username` and a `password`",
                path="security.mechanism",
                code="missing_value",
            )
        )
    if security.mechanism is None and (security.username or security.password):
        faults.append(
            Diagnostic(
                message="there is a username or password, but no `mechanism` to use them with",
                path="security.username",
                code="missing_value",
                suggestion="add mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
            )
        )
    if not security.tls and (security.ca or security.certificate or security.private_key):
        faults.append(
            Diagnostic(
                message="certificates are of no use without TLS",
                path="security.tls",
                code="missing_value",
                suggestion="add tls: true",
            )
        )
    if bool(security.certificate) != bool(security.private_key):
        faults.append(
            Diagnostic(
                message="`certificate` and `private_key` go together",
                path="security.certificate",
                code="missing_value",
            )
        )
    if not faults and security.tls:
        try:
            _context(security)
        except (ssl.SSLError, OSError, ValueError):
            # What OpenSSL says of a key may quote it.
            faults.append(
                Diagnostic(
                    message="the certificates or the key cannot be read as PEM",
                    path="security.ca",
                    code="invalid_value",
                    suggestion="give the text of the file: ${{ file('certs/ca.pem') }}",
                )
            )
    return faults


def client_options(brokers: str | list[str], security: Security | None) -> dict[str, Any]:
    """The arguments with which every client of aiokafka reaches this cluster."""
    options: dict[str, Any] = {"bootstrap_servers": _addresses(brokers), "client_id": "event-hub"}
    if security is None:
        return options
    if security.tls:
        options["ssl_context"] = _context(security)
    if security.mechanism is not None:
        options |= {
            "security_protocol": "SASL_SSL" if security.tls else "SASL_PLAINTEXT",
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password,
        }
    elif security.tls:
        options["security_protocol"] = "SSL"
    return options


def quiet_client() -> None:
    """Keep aiokafka's own log to itself: it writes each attempt, where one line a change is wanted.

    A level that somebody has set is left as it is.
    """
    logger = logging.getLogger("aiokafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL + 1)


async def cause_of(
    error: Exception, brokers: str | list[str], security: Security | None
) -> Exception:
    """What is behind a first contact that failed, by one more: aiokafka tells it to its log alone."""
    if not isinstance(error, KafkaConnectionError):
        return error
    options = client_options(brokers, security)
    causes: list[Exception] = []
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, request_timeout_ms=5000, **options)
        except (OSError, KafkaError, TimeoutError) as cause:
            causes.append(cause)
        else:
            await connection.close()
    telling = [one for one in causes if isinstance(one, (*REFUSED_ACCESS, ssl.SSLError))]
    return telling[0] if telling else error


def reason_of(error: BaseException) -> str:
    """Why a cluster could not be used, in words."""
    match error:
        case KafkaConnectionError() | NodeNotReadyError():
            return "the brokers do not answer"
        case KafkaTimeoutError() | TimeoutError():
            return "the brokers do not answer in time"
        case _ if isinstance(error, REFUSED_ACCESS):
            return f"the brokers refuse access ({type(error).__name__})"
        case ssl.SSLCertVerificationError():
            return f"the brokers' certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"the brokers do not speak TLS as expected ({error.reason})"
        case KafkaError():
            return str(error) or type(error).__name__
        case _:
            return f"{type(error).__name__}: {error}"


def _addresses(brokers: str | list[str]) -> list[str]:
    given = brokers.split(",") if isinstance(brokers, str) else brokers
    return [one.strip() for one in given if one.strip()]


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if not colon:
        return " " not in text and "/" not in text
    return bool(host) and "/" not in text and port.isdecimal() and 0 < int(port) < 65536


def _context(security: Security) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=security.ca)
    context.check_hostname = security.check_hostname
    if security.certificate and security.private_key:
        # OpenSSL reads a chain from files only.
        handle, name = tempfile.mkstemp(prefix="hub-", suffix=".pem")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(
                    security.certificate.strip() + "\n" + security.private_key.strip() + "\n"
                )
            context.load_cert_chain(name)
        finally:
            os.unlink(name)  # noqa: PTH108
    return context


async def start_producer(
    brokers: str | list[str], security: Security | None, **options: Any
) -> AIOKafkaProducer:
    """A producer whose messages all replicas in sync have when they count as sent.

    It is idempotent: what it sends again by itself is written once. Brokers that do not know that
    (the development broker of `hub dev`) get a producer without. Raises `KafkaError`.
    """
    given = {**client_options(brokers, security), **options, "acks": "all"}
    producer = AIOKafkaProducer(**given, enable_idempotence=True)
    try:
        await producer.start()
    except BaseException as error:
        await producer.stop()
        if not isinstance(error, (UnknownError, UnsupportedVersionError)):
            raise
    else:
        return producer
    producer = AIOKafkaProducer(**given)
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def stop_producer(producer: AIOKafkaProducer, *, patience: float = 5.0) -> None:
    """Stop a producer; what it has not sent within `patience` seconds it will not send any more."""
    try:
        async with asyncio.timeout(patience):
            await producer.stop()
    except (KafkaError, TimeoutError, OSError):
        # Its own stop waits for ever while brokers are away, and its sender would go on trying.
        await producer._sender.close()
        await producer.client.close()
