"""What `hub doctor` looks at. Each look is short, changes nothing and says what to do."""

from __future__ import annotations

import asyncio
import platform
import subprocess
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from hub import __version__
from hub.cli.load import load
from hub.errors import HubError, InvalidDefinition, PortTaken
from hub.ports import claim
from hub.routing.journal.database import Database
from hub.routing.journal.tables import REVISION
from hub.settings import Settings, read_environment
from hub.temporal.connect import connect
from hub.temporal.dev_server import find_temporal
from hub.temporal.namespace import look

__all__ = ["Finding", "examine"]

_PORTS = (
    ("the mail inbox", "smtp_port", "HUB_SMTP_PORT"),
    ("Temporal", "temporal_port", "HUB_TEMPORAL_PORT"),
    ("Temporal's page", "temporal_ui_port", "HUB_TEMPORAL_UI_PORT"),
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    status: Literal["ok", "warning", "wrong"]
    detail: str


def examine(folder: Path) -> list[Finding]:
    """Versions, settings, the project, the hub or the ports that it would need."""
    findings = [
        Finding(
            name="hub", status="ok", detail=f"{__version__}, Python {platform.python_version()}"
        ),
        _temporal_program(),
    ]
    try:
        env = read_environment(folder)
        settings = Settings.read(env)
    except HubError as error:
        return [*findings, Finding(name="settings", status="wrong", detail=error.message)]
    findings.append(_project(folder, env))
    findings += asyncio.run(_servers(env, settings))
    checks = _running_hub(settings)
    return findings + (_ports(settings) if checks is None else checks)


def _temporal_program() -> Finding:
    try:
        program = find_temporal()
        done = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except HubError as error:
        return Finding(name="temporal", status="wrong", detail=error.message)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name="temporal", status="wrong", detail=f"it does not start: {error}")
    return Finding(name="temporal", status="ok", detail=f"{done.stdout.strip()} at {program}")


def _project(folder: Path, env: dict[str, str]) -> Finding:
    try:
        project = load(folder, env)
    except InvalidDefinition as error:
        return Finding(name="project", status="wrong", detail=error.message)
    except HubError as error:
        return Finding(name="project", status="wrong", detail=error.message)
    if not project.is_valid:
        errors = [d for d in project.diagnostics if d.severity == "error"]
        return Finding(
            name="project",
            status="wrong",
            detail=f"{len(errors)} errors, the first: {errors[0]}; see hub validate",
        )
    if project.diagnostics:
        detail = f"valid, with warnings, the first: {project.diagnostics[0]}"
        return Finding(name="project", status="warning", detail=detail)
    return Finding(
        name="project", status="ok", detail=f"{project.name}, {len(project.trees)} trees"
    )


async def _servers(env: Mapping[str, str], settings: Settings) -> list[Finding]:
    """The journal's database and Temporal, where the environment names them."""
    findings = []
    if settings.journal_url is not None:
        findings.append(await _looked_at("journal", _journal(settings.journal_url)))
        secret = settings.secret_key
        detail = "set" if secret else "not set; `serve` and `worker` need it"
        findings.append(
            Finding(name="HUB_SECRET_KEY", status="ok" if secret else "wrong", detail=detail)
        )
    if any(name.startswith("TEMPORAL_") for name in env):
        findings.append(await _looked_at("Temporal's namespace", _namespace(env)))
    return findings


async def _looked_at(name: str, look: Awaitable[str]) -> Finding:
    try:
        return Finding(name=name, status="ok", detail=await look)
    except HubError as error:
        return Finding(name=name, status="wrong", detail=error.message)


async def _journal(url: str) -> str:
    database = Database(url)
    try:
        found = await database.version()
    finally:
        await database.close()
    if found is None:
        return f"{database.name} answers; `hub apply` makes its tables"
    if found < REVISION:
        return f"{database.name} has version {found}; `hub apply` brings it to {REVISION}"
    return f"{database.name} has version {found}"


async def _namespace(env: Mapping[str, str]) -> str:
    client = await connect(env=env)
    await look(client)
    return f"{client.namespace} at {client.service_client.config.target_host}, prepared"


def _running_hub(settings: Settings) -> list[Finding] | None:
    """What the hub that runs on this machine says of itself; None when none does."""
    try:
        answer = httpx.get(f"{settings.url}/readyz", timeout=5, trust_env=False)
        ready = answer.json()
        checks = [
            Finding(
                name=f"running hub: {check['name']}",
                status="ok" if check["ok"] else "wrong",
                detail="answers" if check["ok"] else str(check["detail"]),
            )
            for check in ready["checks"]
        ]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None
    return [Finding(name="running hub", status="ok", detail=settings.url), *checks]


def _ports(settings: Settings) -> list[Finding]:
    findings = [Finding(name="running hub", status="ok", detail="none; `hub dev` starts one")]
    wanted = (("the hub", "port", "HUB_PORT"), *_PORTS)
    for what, field, setting in wanted:
        port = getattr(settings, field)
        try:
            claim(settings.host, port, what=what, setting=setting)
        except PortTaken as error:
            findings.append(Finding(name=f"port {port}", status="wrong", detail=error.message))
        else:
            findings.append(Finding(name=f"port {port}", status="ok", detail=f"free for {what}"))
    return findings
