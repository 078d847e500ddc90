"""What is wrong with one definition, collected while it is read and checked."""

from __future__ import annotations

from collections.abc import Callable

from hub.errors import Diagnostic
from hub.tree.words import Place, path_of
from hub.tree.yaml import Document

__all__ = ["Report"]


class Report:
    """Collects diagnostics, each with its place in the document and in the text that it came from."""

    def __init__(self, document: Document | None = None, file: str | None = None) -> None:
        self.document = document
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self.origin: Callable[[Place], Place] = lambda place: place
        """The place in the text of a place in the document that is read, if it was translated."""

    def problem(
        self,
        place: Place,
        message: str,
        *,
        suggestion: str | None = None,
        code: str = "invalid",
        severity: str = "error",
    ) -> None:
        """Note one thing that is wrong. `place` is its place in the document that is read."""
        document = self.document
        place = self.origin(place)
        position = document.position(place) if document else None
        self.diagnostics.append(
            Diagnostic(
                message=message,
                path=path_of(place),
                code=code,
                severity=severity,
                suggestion=suggestion,
                file=self.file,
                line=position[0] if position else None,
                column=position[1] if position else None,
            )
        )

    def warn(self, place: Place, message: str, *, suggestion: str | None = None, code: str) -> None:
        """Note something that is allowed and probably not meant."""
        self.problem(place, message, suggestion=suggestion, code=code, severity="warning")

    def in_order(self) -> list[Diagnostic]:
        """What was noted, in the order of the text."""
        return sorted(self.diagnostics, key=lambda d: (d.line or 0, d.column or 0))

    @property
    def has_errors(self) -> bool:
        """Is there more than warnings?"""
        return any(d.severity == "error" for d in self.diagnostics)
