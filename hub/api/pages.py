"""The shell of the pages behind signed links: no script, no image, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

__all__ = ["POLICY", "render"]

_STYLE = """
:root{color-scheme:light dark;--ground:#f4f5f8;--card:#fff;--text:#1b1f2a;--soft:#5a6275;
--edge:#dfe3ec;--line:#8a92a6;--accent:#2f4bd8;--on-accent:#fff;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ground:#12141b;--card:#1c1f2a;--text:#eceef5;
--soft:#a3abbf;--edge:#323748;--line:#6d758c;--accent:#9db0ff;--on-accent:#10131f;--bad:#ff9d94}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;
background:var(--ground);color:var(--text);
font:1.0625rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:32rem;padding:2rem;background:var(--card);
border:1px solid var(--edge);border-radius:1rem;box-shadow:0 1rem 3rem rgb(0 0 0/.08)}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;text-wrap:balance;overflow-wrap:anywhere}
p,ul{margin:0 0 1rem;overflow-wrap:anywhere}
p:last-child{margin-bottom:0}
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
.choice{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:.75rem;margin:1.5rem 0 1rem}
button{padding:.875rem 1.25rem;min-height:3rem;font:inherit;font-weight:600;
border:2px solid var(--accent);border-radius:.625rem;cursor:pointer;overflow-wrap:anywhere;
color:var(--accent);background:transparent}
button.yes{color:var(--on-accent);background:var(--accent)}
button:hover{filter:brightness(1.08)}
:is(button,input,select,textarea):focus-visible{outline:3px solid var(--text);outline-offset:3px}
"""

_SHELL = """<!doctype html>
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
BODY{% if note %}<p class="soft">{{ note }}</p>
{% endif %}</main>
</body>
</html>
"""

# A browser hashes the style as it stands in the page, so it goes there unescaped.
_style_hash = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_environment = Environment(autoescape=True, undefined=StrictUndefined)

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_style_hash}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy that goes with every page."""


def render(body: str, *, title: str, note: str | None = None, **shown: Any) -> str:
    """A page: its heading, what the template `body` makes of what is `shown`, and a note below."""
    template = _environment.from_string(_SHELL.replace("BODY", body))
    # The style is this module's own text.
    style = Markup(_STYLE)  # noqa: S704
    return template.render(title=title, note=note, style=style, **shown)
