"""The pages behind callback links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.api.pages import render
from hub.links import CallbackClaims

if TYPE_CHECKING:
    from hub.api.problems import Problem

__all__ = ["already_received", "confirm", "refused", "thank_you"]

_BODY = """{% for paragraph in paragraphs %}<p>{{ paragraph }}</p>
{% endfor %}{% if button %}<form method="post">
<div class="choice"><button class="yes" type="submit">{{ button }}</button></div>
</form>
{% endif %}"""


def confirm(claims: CallbackClaims, project: str) -> str:
    """What the link will do, and the button that does it."""
    tree = claims.run_id.partition("/")[0]
    return _render(
        title=claims.label or f"Confirm: {_words(claims.subscription)}",
        paragraphs=[
            f"The button below tells {project} “{_words(claims.subscription)}” ({_words(tree)}).",
            "Nothing happens until you press it.",
        ],
        button="Confirm",
        note=f"This link works until {claims.expires_at:%d %B %Y, %H:%M} UTC"
        + (", once." if claims.use == "once" else "."),
    )


def thank_you(claims: CallbackClaims) -> str:
    """The event is durable."""
    return _render(
        title="Thank you",
        paragraphs=[f"Your answer “{claims.label or _words(claims.subscription)}” has arrived."],
        note="You can close this page.",
    )


def already_received(claims: CallbackClaims) -> str:
    """The link was used before; that is no fault."""
    return _render(
        title="Already received",
        paragraphs=[
            f"Your answer “{claims.label or _words(claims.subscription)}” had arrived before.",
            "Nothing more is needed.",
        ],
        note="You can close this page.",
    )


def refused(problem: Problem) -> str:
    """Why the link did not work, in words for its reader."""
    titles = {
        404: "This link is not valid",
        410: "This link has expired",
        503: "Please try again in a moment",
    }
    advice = {
        404: "It may have been cut short in your mail. Try to copy it whole, or ask for a new one.",
        410: "Ask whoever sent it for a new one.",
        503: "Your answer has not been recorded yet. The link keeps working.",
    }
    return _render(
        title=titles.get(problem.status, "That did not work"),
        paragraphs=[problem.detail, advice.get(problem.status, "Nothing has been recorded.")],
    )


def _render(
    *, title: str, paragraphs: list[str], button: str | None = None, note: str | None = None
) -> str:
    return render(_BODY, title=title, paragraphs=paragraphs, button=button, note=note)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
