"""An OpenID provider as a process of its own: authlib's server side over the standard library's HTTP.

`POST /behave` with JSON says who signs in next and in which way the provider misbehaves:
`user` (claims), `key` ("own", "foreign"), `alg`, `claims` (laid over the ID token's; null removes),
`groups_in` ("token", "userinfo"), `code_life` (seconds), `userinfo` (laid over its answer).
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    AuthorizationServer,
    ClientMixin,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID = "hub"
CLIENT_SECRET = "the-secret-of-the-hub"
REDIRECT_URI = "http://localhost:8080/auth/oidc/callback"

KEYS = {name: RSAKey.generate_key(2048, {"kid": "k1"}) for name in ("own", "foreign")}
GOOD: dict[str, Any] = {
    "user": {"sub": "s-1", "email": "ada@example.com", "email_verified": True, "groups": []},
    "key": "own",
    "alg": "RS256",
    "claims": {},
    "groups_in": "token",
    "code_life": 60,
    "userinfo": {},
}
behaviour = dict(GOOD)
issuer = ""
codes: dict[str, Code] = {}
access_tokens: dict[str, dict[str, Any]] = {}


class Client(ClientMixin):
    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return REDIRECT_URI

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT_URI

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    scope: str
    nonce: str | None
    challenge: str | None
    method: str | None
    user: dict[str, Any]
    until: float

    def get_redirect_uri(self) -> str:
        return REDIRECT_URI

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Grant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic"]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        codes[code] = Code(
            code=code,
            scope=data.get("scope", ""),
            nonce=data.get("nonce"),
            challenge=data.get("code_challenge"),
            method=data.get("code_challenge_method"),
            user=request.user,
            until=time.monotonic() + behaviour["code_life"],
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = codes.get(code)
        return found if found and time.monotonic() < found.until else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> dict[str, Any]:
        return authorization_code.user


class Challenge(CodeChallenge):
    def get_authorization_code_challenge(self, authorization_code: Code) -> str | None:
        return authorization_code.challenge

    def get_authorization_code_challenge_method(self, authorization_code: Code) -> str | None:
        return authorization_code.method


class IdToken(OpenIDCode):
    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return any(code.nonce == nonce for code in codes.values())

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        return {"iss": issuer, "aud": [CLIENT_ID]}

    def generate_user_info(self, user: dict[str, Any], scope: str) -> dict[str, Any]:
        inside = user if behaviour["groups_in"] == "token" else {"sub": user["sub"]}
        return dict(inside)

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        claims = self.get_compatible_claims(request)
        claims |= self.get_authorization_code_claims(request.authorization_code)
        claims |= self.generate_user_info(request.user, token["scope"])
        for name, value in behaviour["claims"].items():
            claims.pop(name, None) if value is None else claims.update({name: value})
        alg = behaviour["alg"]
        head = {"alg": alg, "kid": "k1"}
        if alg == "none":
            parts = (json.dumps(part).encode() for part in (head, claims))
            return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts) + "."
        if alg == "HS256":
            return jwt.encode(head, claims, OctKey.import_key(CLIENT_SECRET * 2), ["HS256"])
        return jwt.encode(head, claims, KEYS[behaviour["key"]], [alg])


class Asked(OAuth2Request):
    def __init__(self, method: str, uri: str, form: dict[str, str], headers: Any) -> None:
        super().__init__(method, uri, headers=headers)
        query = dict(parse_qsl(urlsplit(uri).query))
        self._form = form
        self.payload = BasicOAuth2Payload(query | form)

    @property
    def args(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.uri).query))

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Server(AuthorizationServer):
    def query_client(self, client_id: str) -> Client | None:
        return Client() if client_id == CLIENT_ID else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        access_tokens[token["access_token"]] = request.user

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        return None

    def create_oauth2_request(self, request: Asked) -> Asked:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any, Any]:
        return status, body, headers


def bearer(**_: Any) -> dict[str, Any]:
    token = base64.urlsafe_b64encode(os.urandom(24)).decode()
    return {"token_type": "Bearer", "access_token": token, "expires_in": 60}


server = Server()
server.register_token_generator(
    "default", lambda scope=None, **more: bearer(**more) | {"scope": scope}
)
server.register_grant(Grant, [Challenge(required=True), IdToken(require_nonce=True)])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/.well-known/openid-configuration":
            self._json(
                200,
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/authorize",
                    "token_endpoint": f"{issuer}/token",
                    "userinfo_endpoint": f"{issuer}/userinfo",
                    "jwks_uri": f"{issuer}/jwks",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                },
            )
        elif path == "/jwks":
            self._json(200, {"keys": [KEYS["own"].as_dict(private=False)]})
        elif path == "/userinfo":
            token = self.headers["authorization"].removeprefix("Bearer ")
            self._json(200, access_tokens[token] | behaviour["userinfo"])
        elif path == "/authorize":
            asked = Asked("GET", f"{issuer}{self.path}", {}, self.headers)
            grant = server.get_consent_grant(asked, behaviour["user"])
            status, body, headers = server.create_authorization_response(
                asked, grant_user=behaviour["user"], grant=grant
            )
            self._answer(status, body.encode(), dict(headers))
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/behave":
            behaviour.clear()
            behaviour.update(GOOD | json.loads(content))
            self._json(200, {})
            return
        form = dict(parse_qsl(content.decode()))
        asked = Asked("POST", f"{issuer}{self.path}", form, self.headers)
        status, body, _ = server.create_token_response(asked)
        self._json(status, body if isinstance(body, dict) else dict(body))

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value).encode(), {"content-type": "application/json"})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return None


def main() -> None:
    global issuer
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = f"http://127.0.0.1:{http.server_port}"
    sys.stdout.write(issuer + "\n")
    sys.stdout.flush()
    http.serve_forever()


if __name__ == "__main__":
    main()
