"""The pages behind decision links."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.api.pages import render
from hub.links import DecisionClaims
from hub.run.approvals import MAX_COMMENT, Answer

if TYPE_CHECKING:
    from hub.api.problems import Problem

__all__ = ["ask", "recorded", "refused"]

_BODY = """{% if problem %}<p class="bad" role="alert">{{ problem }}</p>
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
{% endif %}"""

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
    return render(_BODY, **(empty | {"comment": "", "longest": MAX_COMMENT} | shown))
