"""render: make a text or a page of a template and the run's values.

    - render.html:
        template: report            # templates/report.html
        data: {rows: "${{ steps.sales.rows }}"}
      id: report

It needs no connection.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from hub.connector import Call, Connector, action
from hub.durations import parse_duration
from hub.errors import ActionRefused, InvalidDefinition, InvalidDuration
from hub.templates import Templates, text_of

__all__ = ["Page", "Render", "Settings", "Source", "Text"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where templates are."""

    folder: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_/-]*$", description="Folder of the project")
    ] = "templates"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A template, and values for it beside the run's `event`, `vars`, `steps` and `run`."""

    template: Annotated[
        str, Meta(min_length=1, description="Its name: that of the file without `.txt` or `.html`")
    ]
    data: Annotated[dict[str, Any], Meta(description="Values that it reads as `data`")] = {}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text."""

    text: Annotated[str, Meta(description="What the template made")]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page."""

    html: Annotated[str, Meta(description="What the template made")]
    text: Annotated[str, Meta(description="The same as a readable text")]


class Render(Connector):
    """Makes texts and pages of templates."""

    name: ClassVar[str] = "render"
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    settings: Settings

    def __init__(self, settings: Settings, project: Path) -> None:
        super().__init__(settings, project)
        self._templates = Templates(project / settings.folder)

    @action(timeout=timedelta(minutes=1), needs_scope=True)
    async def text(self, given: Source, call: Call) -> Text:
        """Make a text of `<template>.txt`. Nothing is escaped."""
        return Text(text=await self._render(f"{given.template}.txt", given, call))

    @action(timeout=timedelta(minutes=1), needs_scope=True)
    async def html(self, given: Source, call: Call) -> Page:
        """Make a page of `<template>.html`. Values are escaped."""
        html = await self._render(f"{given.template}.html", given, call)
        return Page(html=html, text=text_of(html))

    async def _render(self, file: str, given: Source, call: Call) -> str:
        def callback(subscription: str, expires: str | int | timedelta | None = None) -> str:
            try:
                within = None if expires is None else parse_duration(expires)
            except InvalidDuration as error:
                raise ValueError(error.message) from None
            return call.callback(subscription, expires=within)

        scope = {**call.scope, "data": given.data, "callback": callback}
        try:
            # A large report takes its time, and other actions should not wait for it.
            return await asyncio.to_thread(self._templates.render_file, file, scope)
        except InvalidDefinition as error:
            raise ActionRefused("template", error.message) from None
