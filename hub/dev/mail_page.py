"""The page of the development inbox, and the same as JSON.

A mail is foreign text: it is shown escaped, and its HTML in a frame that has an origin of its own,
runs no script and sends no form.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any, Final

import msgspec
from jinja2 import Environment, StrictUndefined
from litestar import MediaType, Request, Response, Router, delete, get
from litestar.params import FromPath, FromQuery, QueryParameter

from hub.api.callers import caller_of
from hub.api.guards import OPERATOR, VIEWER, lets, may
from hub.dev.inbox import Inbox, Mail, images_of
from hub.errors import NotFound

__all__ = ["mail_router"]

_STYLE: Final = """
:root{color-scheme:light dark;--ground:#f4f5f8;--card:#fff;--text:#1b1f2a;--soft:#5a6275;
--line:#dfe3ec;--accent:#2f4bd8;--hover:#eef1fb;--warn:#8a4b00;--warn-ground:#fff1dc}
@media (prefers-color-scheme:dark){:root{--ground:#12141b;--card:#1c1f2a;--text:#eceef5;
--soft:#a3abbf;--line:#323748;--accent:#9db0ff;--hover:#252a39;--warn:#ffc46b;--warn-ground:#3a2c14}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:58rem;margin:0 auto;padding:1.5rem 1rem 4rem}
header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline;margin-bottom:1rem}
h1{margin:0;font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere;flex:1 1 16rem}
h2{margin:1.5rem 0 .5rem;font-size:1rem}
a{color:var(--accent)}
.soft{color:var(--soft);font-size:.875rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;overflow:hidden}
ul.mails{list-style:none;margin:0;padding:0}
ul.mails li+li{border-top:1px solid var(--line)}
ul.mails a{display:grid;grid-template-columns:1fr auto;gap:.125rem 1rem;padding:.75rem 1rem;
color:inherit;text-decoration:none}
ul.mails a:hover{background:var(--hover)}
ul.mails strong,ul.mails span{min-width:0;overflow-wrap:anywhere}
a:focus-visible,button:focus-visible,summary:focus-visible{outline:3px solid var(--accent);
outline-offset:-3px}
.badge{display:inline-block;padding:0 .5rem;border-radius:1rem;font-size:.75rem;font-weight:600;
color:var(--warn);background:var(--warn-ground)}
.told{margin:0 0 1rem;color:var(--warn)}
.told:empty{display:none}
.empty{padding:3rem 1.5rem;text-align:center;color:var(--soft)}
button{font:inherit;font-size:.875rem;padding:.375rem .875rem;min-height:2.25rem;cursor:pointer;
color:var(--text);background:var(--card);border:1px solid var(--line);border-radius:.5rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0;padding:1rem}
dt{color:var(--soft)}
dd{margin:0;min-width:0;overflow-wrap:anywhere}
pre{margin:0;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;
font:.875rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
iframe{display:block;width:100%;height:32rem;max-height:75vh;border:0;background:#fff;
color-scheme:light}
summary{padding:.75rem 1rem;cursor:pointer}
ul.links{margin:0;padding:1rem 1rem 1rem 2rem;overflow-wrap:anywhere}
nav{display:flex;gap:1rem;margin-bottom:1rem}
"""

# Looks for a newer mail while somebody is looking, and throws all away when told to.
_SCRIPT: Final = """
(() => {
  const main = document.querySelector("main");
  const here = main.dataset.newest;
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch("?format=json&limit=1", {cache: "no-store"});
      const newest = (await answer.json()).items[0]?.n ?? 0;
      if (String(newest) !== here) location.reload();
    } catch { /* the hub is restarting: the next look finds it */ }
  };
  if (!new URLSearchParams(location.search).has("before")) setInterval(look, 2000);
  document.querySelector("#clear")?.addEventListener("click", async () => {
    const headers = main.dataset.csrf ? {"x-csrf-token": main.dataset.csrf} : {};
    const answer = await fetch(location.pathname, {method: "DELETE", headers}).catch(() => null);
    if (answer?.ok) return location.assign(location.pathname);
    const told = await answer?.json().catch(() => null);
    document.querySelector("#told").textContent = told?.detail ?? "The hub does not answer.";
  });
})();
"""

_FRAME: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
"""

_LIST: Final = (
    _FRAME
    + """<noscript><meta http-equiv="refresh" content="5"></noscript>
<main data-newest="{{ newest }}"{% if csrf %} data-csrf="{{ csrf }}"{% endif %}>
<header>
<h1>Mail</h1>
<span class="soft">Nothing in here was delivered to anyone.</span>
{% if mails and may_clear %}<button id="clear" type="button">Throw all away</button>{% endif %}
</header>
<p id="told" class="told" role="alert"></p>
<div class="card">
{% if mails %}<ul class="mails">
{% for mail in mails %}<li><a href="{{ path }}/{{ mail.n }}">
<strong>{{ mail.subject or "(no subject)" }}
{% if mail.repeated %}<span class="badge">repeated</span>{% endif %}</strong>
<time class="soft" datetime="{{ mail.at.isoformat() }}">{{ mail.at.strftime("%d %b, %H:%M:%S") }}</time>
<span class="soft">{{ mail.sender or "(nobody)" }} → {{ mail.to | join(", ") }}</span>
</a></li>
{% endfor %}</ul>
{% else %}<p class="empty">No mail yet. Whatever a run sends by <code>email.send</code> shows up
here.</p>
{% endif %}</div>
{% if next %}<p><a href="{{ path }}?before={{ next }}">Older mails</a></p>{% endif %}
</main>
<script>{{ script }}</script>
"""
)

_ONE: Final = (
    _FRAME
    + """<main>
<nav><a href="{{ path }}">← All mail</a></nav>
<header>
<h1>{{ title }}</h1>
{% if mail.repeated %}<span class="badge">repeated: an earlier mail has this Message-ID</span>{% endif %}
</header>
<div class="card"><dl>
<dt>From</dt><dd>{{ mail.sender or "(nobody)" }}</dd>
<dt>To</dt><dd>{{ mail.to | join(", ") }}</dd>
<dt>Received</dt><dd><time datetime="{{ mail.at.isoformat() }}">{{ mail.at.strftime("%d %B %Y, %H:%M:%S") }} UTC</time></dd>
{% if mail.message_id %}<dt>Message-ID</dt><dd>{{ mail.message_id }}</dd>{% endif %}
{% for file in mail.attachments %}<dt>Attached</dt><dd>{{ file.name }}
<span class="soft">{{ file.type }}, {{ "{:,}".format(file.size) }} bytes</span></dd>
{% endfor %}</dl></div>
{% if mail.html is not none %}<h2>HTML</h2>
<div class="card"><iframe title="The mail as HTML" referrerpolicy="no-referrer"
sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="{{ document }}"></iframe></div>
{% endif %}{% if mail.text is not none %}<h2>Text</h2>
<div class="card"><pre>{{ mail.text }}</pre></div>
{% endif %}{% if mail.links %}<h2>Links</h2>
<div class="card"><ul class="links">
{% for link in mail.links %}<li><a href="{{ link }}" target="_blank" rel="noopener noreferrer">{{ link }}</a></li>
{% endfor %}</ul></div>
{% endif %}<h2>Source</h2>
<details class="card"><summary>Headers</summary><dl>
{% for name, value in mail.headers %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl></details>
<p><a href="{{ path }}/{{ mail.n }}/raw">Raw source</a></p>
</main>
"""
)

_FRAME_POLICY: Final = "default-src 'none'; img-src data: http: https:; style-src 'unsafe-inline'"
# The first base and the first policy of a document win, so the mail's own ones change nothing.
_DOCUMENT_HEAD: Final = (
    '<!doctype html><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{_FRAME_POLICY}">'
    '<base target="_blank">'
)
_REFRESH = re.compile(r"<meta\b[^>]*http-equiv\s*=\s*[\"']?\s*refresh[^>]*>", re.IGNORECASE)
_CID = re.compile(r"(?<=[\"'(])cid:([^\"')\s]{1,200})(?=[\"')])")


class _Trusted(str):
    """Text of this module, which the template takes as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


_environment = Environment(autoescape=True, undefined=StrictUndefined)
_list = _environment.from_string(_LIST)
_one = _environment.from_string(_ONE)


def _hash(source: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() + "'"


_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_LIST_POLICY: Final = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A frame's document is under its page's policy too, so the mail's own styles and images need to
# be let in here. Scripts and forms are not.
_ONE_POLICY: Final = f"{_FRAME_POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class MailList(msgspec.Struct, frozen=True, kw_only=True):
    """Mails, newest first. `next` is the `before` of the following page, null on the last."""

    items: list[Mail]
    next: int | None


def mail_router(inbox: Inbox, path: str = "/dev/mail") -> Router:
    """The inbox over HTTP: a page for people, JSON for `Accept: application/json`.

    GET the list (`limit`, `before`), GET one by its number, GET its `raw` source; DELETE all.
    """

    @get("/", opt=lets(VIEWER, "mail.see"), media_type=MediaType.HTML)
    async def list_mails(
        request: Request[Any, Any, Any],
        kind: Annotated[str | None, QueryParameter(name="format")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        before: FromQuery[int | None] = None,
    ) -> Response[Any]:
        """The mails, newest first."""
        found: list[Mail] = []
        following: int | None = None
        for mail in inbox.mails(before=before):
            if len(found) == limit:
                following = found[-1].n
                break
            found.append(mail)
        if _wants_json(request, kind):
            return _json(MailList(items=found, next=following))
        page = _list.render(
            title="Mail",
            mails=found,
            next=following,
            newest=found[0].n if found else 0,
            csrf=caller_of(request).csrf,
            may_clear=may(request, OPERATOR),
            path=path,
            style=_Trusted(_STYLE),
            script=_Trusted(_SCRIPT),
        )
        return _page(page, _LIST_POLICY)

    @get("/{n:int}", media_type=MediaType.HTML)
    async def show_mail(
        n: FromPath[int],
        request: Request[Any, Any, Any],
        kind: Annotated[str | None, QueryParameter(name="format")] = None,
    ) -> Response[Any]:
        """One mail: its text, its HTML in a frame, its links and headers."""
        mail = inbox.get(n)
        if mail is None:
            raise NotFound(f"there is no mail {n}")
        if _wants_json(request, kind):
            return _json(mail)
        raw = await inbox.raw(n) if mail.html is not None else None
        page = _one.render(
            title=mail.subject or "(no subject)",
            mail=mail,
            document=_document(mail.html or "", raw or b""),
            path=path,
            style=_Trusted(_STYLE),
        )
        return _page(page, _ONE_POLICY)

    @get("/{n:int}/raw", media_type=MediaType.TEXT)
    async def show_raw(n: FromPath[int]) -> Response[bytes]:
        """The source of one mail, as it came."""
        raw = await inbox.raw(n) if inbox.get(n) is not None else None
        if raw is None:
            raise NotFound(f"there is no mail {n}")
        headers = {**_HEADERS, "content-security-policy": "default-src 'none'; sandbox"}
        return Response(raw, media_type="text/plain; charset=utf-8", headers=headers)

    @delete("/", opt=lets(OPERATOR, "mail.clear"))
    async def clear_mails() -> None:
        """Throw all mails away."""
        await inbox.clear()

    return Router(
        path=path,
        opt=VIEWER,
        route_handlers=[list_mails, show_mail, show_raw, clear_mails],
        include_in_schema=False,
    )


def _wants_json(request: Request[Any, Any, Any], kind: str | None) -> bool:
    if kind is not None:
        return kind == "json"
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _json(value: Any) -> Response[bytes]:
    return Response(
        msgspec.json.encode(value),
        media_type=MediaType.JSON,
        headers={**_HEADERS, "vary": "accept"},
    )


def _page(page: str, policy: str) -> Response[str]:
    headers = {**_HEADERS, "content-security-policy": policy, "vary": "accept"}
    return Response(page, media_type=MediaType.HTML, headers=headers)


def _document(html: str, raw: bytes) -> str:
    """The mail's HTML as a document of its own, with the images that it brought along."""
    if "cid:" in html:
        images = images_of(raw)

        def image(found: re.Match[str]) -> str:
            if found[1] not in images:
                return found[0]
            kind, content = images[found[1]]
            return f"data:{kind};base64,{base64.b64encode(content).decode()}"

        html = _CID.sub(image, html)
    return _DOCUMENT_HEAD + _REFRESH.sub("", html)
