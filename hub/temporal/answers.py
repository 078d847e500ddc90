"""What Temporal's refusals mean for the hub.

A place that is away, refuses the hub's credentials or is not prepared yet is `Unreachable`: what is
to go there waits, for this may be mended, and nothing that was accepted may be lost over it.
"""

from __future__ import annotations

import re

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from hub.errors import CredentialsRefused, NotPrepared, Unreachable

__all__ = ["APPLY", "away", "cannot_connect"]

APPLY = "`hub apply` makes them where it is permitted"
_AWAY = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.ABORTED,
)
_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
_ATTRIBUTE = re.compile(
    r"(?:no mapping defined for|invalid) search attribute:? (Hub\w+)"
    r"|search attribute:? (Hub\w+) is not defined"
)
_CAUSE = re.compile(r'\b(?:message|error): "([^"]*)')


def away(error: RPCError | RuntimeError) -> Unreachable | None:
    """The error where Temporal can do nothing for the hub just now; None where it has answered.

    A client that connects when it is first used raises `RuntimeError` while it cannot.
    """
    if isinstance(error, RuntimeError):
        return cannot_connect(error, None) if "client connect" in str(error) else None
    if error.status in _REFUSED:
        return CredentialsRefused(refusal(error.message))
    if error.status == RPCStatusCode.NOT_FOUND and _names_namespace(error):
        return NotPrepared(f"Temporal says: {error.message}")
    if error.status == RPCStatusCode.INVALID_ARGUMENT and (
        found := _ATTRIBUTE.search(error.message)
    ):
        return NotPrepared(f"the namespace has no search attribute {found[1] or found[2]}; {APPLY}")
    if error.status in _AWAY:
        return Unreachable(f"Temporal does not answer: {error.message}")
    return None


def cannot_connect(error: RuntimeError, address: str | None) -> Unreachable:
    """What it means that a client could not connect: no answer, no agreement, or no admission."""
    said, where = str(error), f" at {address}" if address else ""
    if "Unauthenticated" in said or "PermissionDenied" in said:
        found = re.search(r'message: "([^"]*)"', said)
        return CredentialsRefused(refusal(found[1] if found else "", where))
    for word, way_out in _TLS_TROUBLE.items():
        if word in said:
            return CredentialsRefused(f"Temporal{where} and the hub do not agree on TLS: {way_out}")
    return Unreachable(f"Temporal does not answer{where}: {_cause(said)}")


_TLS_TROUBLE = {
    "InvalidContentType": "it speaks none; TEMPORAL_TLS=false turns it off, also with an API key",
    "PrivateKeyParseError": "the client key cannot be read; TEMPORAL_TLS_CLIENT_KEY_PATH names a "
    "PEM file",
    "CertificateParseError": "the client certificate cannot be read; "
    "TEMPORAL_TLS_CLIENT_CERT_PATH names a PEM file",
    "UnknownIssuer": "its certificate is of an authority that is not known here; name that "
    "authority's certificate in TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "NotValidForName": "its certificate is for another name; set TEMPORAL_TLS_SERVER_NAME",
    "CertificateRequired": "it asks for a client certificate; set TEMPORAL_TLS_CLIENT_CERT_PATH "
    "and TEMPORAL_TLS_CLIENT_KEY_PATH",
    "received fatal alert": "it refuses the client certificate; check "
    "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH",
}


def refusal(said: str, where: str = "") -> str:
    """The sentence for credentials that are not taken."""
    return (
        f"Temporal{where} refuses the hub's credentials ({said or 'no reason given'}); check "
        "TEMPORAL_API_KEY, or the client certificate, and TEMPORAL_NAMESPACE"
    )


def _names_namespace(error: RPCError) -> bool:
    wanted = NamespaceNotFoundFailure.DESCRIPTOR.full_name
    status = error.grpc_status
    return any(detail.type_url.endswith(wanted) for detail in status.details)


def _cause(said: str) -> str:
    """The innermost reason that stands in the text of a connection error."""
    found = _CAUSE.findall(said)
    return found[-1] if found else said.removeprefix("Failed client connect: ")[:200]
