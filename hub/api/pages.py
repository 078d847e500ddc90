"""The pages behind callback links: no script, no image, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from hub.links import CallbackClaims

if TYPE_CHECKING:
    from hub.api.problems import Problem

__all__ = ["POLICY", "already_received", "confirm", "refused", "thank_you"]

_STYLE = """
:root{color-scheme:light dark;--ground:#f4f5f8;--card:#fff;--text:#1b1f2a;--soft:#5a6275;
--line:#dfe3ec;--accent:#2f4bd8;--on-accent:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#12141b;--card:#1c1f2a;--text:#eceef5;
--soft:#a3abbf;--line:#323748;--accent:#9db0ff;--on-accent:#10131f}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;
background:var(--ground);color:var(--text);
font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:28rem;padding:2rem;background:var(--card);
border:1px solid var(--line);border-radius:1rem;box-shadow:0 1rem 3rem rgb(0 0 0/.08)}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;text-wrap:balance;overflow-wrap:anywhere}
p{margin:0 0 1rem;overflow-wrap:anywhere}
p:last-child{margin-bottom:0}
.soft{color:var(--soft);font-size:.9375rem}
button{display:block;width:100%;margin:1.5rem 0 1rem;padding:.875rem 1.25rem;min-height:3rem;
font:inherit;font-weight:600;color:var(--on-accent);background:var(--accent);border:0;
border-radius:.625rem;cursor:pointer;overflow-wrap:anywhere}
button:hover{filter:brightness(1.08)}
button:focus-visible{outline:3px solid var(--text);outline-offset:3px}
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for paragraph in paragraphs %}<p>{{ paragraph }}</p>
{% endfor %}{% if button %}<form method="post">
<button type="submit">{{ button }}</button>
</form>
{% endif %}{% if note %}<p class="soft">{{ note }}</p>
{% endif %}</main>
</body>
</html>
"""

_template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
# A browser hashes the style as it stands in the page, so it goes there unescaped.
_style_hash = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_style_hash}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy that goes with every page."""


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
    return _template.render(
        title=title, paragraphs=paragraphs, button=button, note=note, style=_Style(_STYLE)
    )


class _Style(str):
    """Text that the template takes as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
