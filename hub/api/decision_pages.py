"""The pages behind decision links: no script, no image, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from hub.links import DecisionClaims
from hub.run.approvals import MAX_COMMENT, Answer

if TYPE_CHECKING:
    from hub.api.problems import Problem

__all__ = ["POLICY", "ask", "recorded", "refused"]

_STYLE = """
:root{color-scheme:light dark;--ground:#f4f5f8;--card:#fff;--text:#1b1f2a;--soft:#5a6275;
--line:#8a92a6;--accent:#2f4bd8;--on-accent:#fff;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ground:#12141b;--card:#1c1f2a;--text:#eceef5;
--soft:#a3abbf;--line:#6d758c;--accent:#9db0ff;--on-accent:#10131f;--bad:#ff9d94}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;
background:var(--ground);color:var(--text);
font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:34rem;padding:2rem;background:var(--card);border-radius:1rem;
box-shadow:0 1rem 3rem rgb(0 0 0/.08)}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;text-wrap:balance;overflow-wrap:anywhere}
p,ul{margin:0 0 1rem;overflow-wrap:anywhere}
.details{white-space:pre-line}
.soft{color:var(--soft);font-size:.9375rem}
.bad{color:var(--bad);font-weight:600}
label{display:block;margin:0 0 1rem;font-weight:600}
label.check{display:flex;gap:.625rem;align-items:center}
input:not([type=checkbox]),select,textarea{display:block;width:100%;margin-top:.25rem;
padding:.625rem .75rem;font:inherit;font-weight:400;color:inherit;background:var(--ground);
border:1px solid var(--line);border-radius:.5rem}
input[type=checkbox]{width:1.25rem;height:1.25rem}
textarea{min-height:5rem;resize:vertical}
.choice{display:grid;grid-template-columns:1fr 1fr;gap:.75rem;margin:1.5rem 0 1rem}
button{padding:.875rem 1.25rem;min-height:3rem;font:inherit;font-weight:600;
border:2px solid var(--accent);border-radius:.625rem;cursor:pointer;
color:var(--accent);background:transparent}
button.yes{color:var(--on-accent);background:var(--accent)}
:is(button,input,select,textarea):focus-visible{outline:3px solid var(--text);outline-offset:2px}
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
{% if problem %}<p class="bad" role="alert">{{ problem }}</p>
{% endif %}{% if details %}<p class="details">{{ details }}</p>
{% endif %}{% for line in lines %}<p>{{ line }}</p>
{% endfor %}{% if by %}<ul>
{% for line in by %}<li>{{ line }}</li>
{% endfor %}</ul>
{% endif %}{% if who %}<form method="post">
{% for field in fields %}{% if field.type == "boolean" %}<label class="check"><input type="checkbox" name="field.{{ field.name }}" value="yes"{% if field.value %} checked{% endif %}>{{ field.label }}</label>
{% elif field.type == "choice" %}<label>{{ field.label }}<select name="field.{{ field.name }}"><option value=""></option>{% for choice in field.choices %}<option{% if choice == field.value %} selected{% endif %}>{{ choice }}</option>{% endfor %}</select></label>
{% else %}<label>{{ field.label }}<input type="text" name="field.{{ field.name }}" value="{{ field.value }}"{% if field.type == "number" %} inputmode="decimal"{% endif %}></label>
{% endif %}{% endfor %}<label>Comment<textarea name="comment" maxlength="{{ longest }}">{{ comment }}</textarea></label>
<div class="choice"><button class="yes" type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="reject">Reject</button></div>
</form>
<p>You decide as <strong>{{ who }}</strong>. Whoever has this link decides in that name.</p>
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

_OUTCOMES = {
    "approved": "approved",
    "rejected": "rejected",
    "timed_out": "ended without a decision",
}


def ask(
    approval: Mapping[str, Any],
    claims: DecisionClaims,
    *,
    problem: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> str:
    """What is to be decided, with the form and both buttons; or what came of it."""
    lines = []
    if approval["quorum"] > 1:
        lines.append(f"{approval['approvals']} of {approval['quorum']} approvals are there.")
    is_open = claims.who in approval["waiting_on"]
    outcome = approval["decision"]
    if outcome != "pending":
        lines.append(f"This is {_OUTCOMES[outcome]} since {_when(approval['ended_at'])}.")
    elif not is_open:
        lines.append("You have already decided.")
    until = approval["deadline"]
    note = f"It can be decided until {_when(until)}. " if until and is_open else ""
    return _render(
        title=approval["title"],
        details=approval["details"],
        problem=problem,
        lines=lines,
        by=[_line(one) for one in approval["by"]],
        who=claims.who if is_open else None,
        fields=_fields(approval["form"], (given or {}).get("form") or {}),
        comment=(given or {}).get("comment") or "",
        note=f"{note}Run {claims.run_id}",
    )


def recorded(answer: Answer) -> str:
    """The decision stands."""
    said = "approval" if answer.decision == "approve" else "rejection"
    if answer.outcome == "pending":
        outcome = f"{answer.approvals} of {answer.quorum} approvals are there."
    else:
        outcome = f"With it, this is {_OUTCOMES[answer.outcome]}."
    return _render(
        title="Recorded",
        lines=[f"The {said} of {answer.who} was recorded on {_when(answer.at)}.", outcome],
        note="You can close this page.",
    )


def refused(problem: Problem) -> str:
    """Why it was not recorded, in words for its reader."""
    titles = {
        "already_decided": "Already decided",
        "decided_before": "You have already decided",
        "approval_over": "Nothing to decide any more",
        "not_found": "This link leads to no open decision",
        "gone": "This link has expired",
        "not_yours": "Not yours to decide",
        "unreachable": "Please try again in a moment",
    }
    return _render(
        title=titles.get(problem.code, "That did not work"),
        lines=[problem.detail],
        note="The link keeps working." if problem.status == 503 else None,
    )


def _fields(form: Mapping[str, Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": asked.get("type", "text"),
            "label": (asked.get("label") or name) + (" (needed)" if asked.get("required") else ""),
            "choices": asked.get("choices") or [],
            "value": given.get(name) or "",
        }
        for name, asked in form.items()
    ]


def _line(one: Mapping[str, Any]) -> str:
    said = "approved" if one["decision"] == "approve" else "rejected"
    comment = f": {one['comment']}" if one.get("comment") else ""
    return f"{one['who']} {said} on {_when(one['at'])}{comment}"


def _when(time: datetime | str) -> str:
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{moment:%d %B %Y, %H:%M} UTC"


def _render(**shown: Any) -> str:
    empty: dict[str, Any] = {
        "problem": None,
        "details": None,
        "lines": [],
        "by": [],
        "who": None,
        "fields": [],
    }
    return _template.render(
        **(empty | {"comment": "", "note": None, "longest": MAX_COMMENT} | shown),
        # The style is this module's own text.
        style=Markup(_STYLE),  # noqa: S704
    )
