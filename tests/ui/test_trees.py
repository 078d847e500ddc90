"""Trees on the page: drawn and written, with what people have written left as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.page import large_tree
from tests.acceptance.hub_process import HubProcess
from tests.ui.actions import card, choose, sign_up, source

TREE = """# Why this tree is there.
tree: {name}
events:
  opened:    {{webhook: app, where: event.type == "opened", key: event.data.id}}   # in one line
  closed:
    webhook: app
    where: event.type == "closed"      # told by the desk
    key: event.data.id

start: opened

do:
  # first the mail
  - id: greet
    email.send:
      to: a@example.com      # for now
      subject: 'Hello'
      text: "Hi"

  - fallback:                # in time, or not
      - id: in_time
        wait_for: closed
        timeout: 2h
      # too late
      - log: too late
  - delay: 1h

# the end
"""


@pytest.fixture
def tree(hub: HubProcess, request: pytest.FixtureRequest) -> str:
    """A tree of the test's own, with comments everywhere."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:60].strip("-")
    (hub.project / "trees" / f"{name}.yaml").write_text(TREE.format(name=name))
    hub.until(lambda: name in [one["name"] for one in hub.get("/api/trees")["items"]], "the tree")
    return name


def file_of(hub: HubProcess, tree: str) -> Path:
    return hub.project / "trees" / f"{tree}.yaml"


def open_tree(page: Page, tree: str) -> None:
    page.goto(f"/trees/{tree}")
    expect(card(page, "do[2]")).to_be_visible()
    expect(page.locator(".cm-content")).to_be_visible()


COLOURED = r"""# all that a text of a tree may hold
tree: coloured
do:
- log: "a ${{ event.data.id }} \" # b"   # said
- set: {n: 1.5, is: true, s: 'it''s 5', t: [a, 7]}
- email.send: &mail
    to: ada-1@example.com, 5 of them
    text: |
      key: no key
      12 # {% if x %}
    at: 12:30
    html: '${{ a }}
      b: c'
    "quoted": >-
      more
    n: -3
- delay: ${{ vars.wait
    or 5 }}
- log: it's [fine] - or not
"""


def coloured(page: Page) -> dict[str, list[str]]:
    """The pieces of the text, by the colour they have."""
    found: dict[str, list[str]] = page.evaluate(
        """() => {
          const probe = document.body.appendChild(document.createElement("i"));
          const names = {};
          for (const name of ["accent", "good", "wait", "faint", "soft", "stop"]) {
            probe.style.color = `var(--${name})`;
            names[getComputedStyle(probe).color] = name;
          }
          probe.remove();
          const pieces = {};
          for (const piece of document.querySelectorAll(".cm-line > span")) {
            const name = names[getComputedStyle(piece).color] ?? "plain";
            (pieces[name] ??= []).push(piece.textContent);
          }
          return pieces;
        }"""
    )
    return found


def pick(page: Page, path: str) -> None:
    """Choose a node by the keyboard, wherever it has been moved to."""
    card(page, path).focus()
    page.keyboard.press("Space")


def texts_after(page: Page, key: str, times: int) -> list[str]:
    """Press a key with Control that often: the text in the editor after each."""
    page.evaluate(
        """() => {
          const { view } = document.querySelector(".cm-content").cmTile;
          window.texts = [];
          window.watch = (event) => {
            if (event.key !== "Control") texts.push(view.state.doc.toString());
          };
          document.addEventListener("keyup", watch);
        }"""
    )
    page.keyboard.down("Control")
    for _ in range(times):
        page.keyboard.press(key)
    page.keyboard.up("Control")
    texts: list[str] = page.evaluate("document.removeEventListener('keyup', watch), texts")
    return texts


def wrap(page: Page, verb: str) -> None:
    """Put the chosen node into another, by the keyboard alone."""
    page.keyboard.press("w")
    page.get_by_label("Find a node").fill(verb)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Wrap into")).to_have_count(0)


def test_a_form_changes_one_value_and_nothing_else(hub: HubProcess, page: Page, tree: str) -> None:
    open_tree(page, tree)
    card(page, "do[1].fallback[0]").click()
    form = page.get_by_role("region", name="Fields of in_time")
    form.get_by_label("timeout", exact=False).first.fill("3h")
    page.keyboard.press("Enter")
    before = TREE.format(name=tree)
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()
    assert source(page) == before.replace("timeout: 2h", "timeout: 3h")
    card(page, "do[0]").click()
    page.get_by_role("region", name="Fields of greet").get_by_label("to *", exact=False).first.fill(
        "${{ event.data.email }}"
    )
    page.keyboard.press("Tab")
    wanted = before.replace("timeout: 2h", "timeout: 3h").replace(
        "to: a@example.com", "to: ${{ event.data.email }}"
    )
    assert source(page) == wanted
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Saved")).to_be_disabled()
    assert file_of(hub, tree).read_text() == wanted


def test_how_its_starts_are_held_back_is_said_in_a_form(
    hub: HubProcess, page: Page, tree: str
) -> None:
    open_tree(page, tree)
    before = source(page)
    choose(page, "do")
    form = page.get_by_role("region", name="Fields of")
    form.get_by_text("When it starts again, and how often").click()
    form.get_by_text("concurrency", exact=True).click()
    group = form.locator("details.parts", has_text="concurrency")
    group.get_by_label("limit").fill("5")
    group.get_by_label("limit").press("Enter")
    # A name becomes more than a name; nothing else is touched.
    assert source(page) == before.replace(
        "start: opened\n", "start:\n  event: opened\n  concurrency:\n    limit: 5\n"
    )
    group.get_by_label("key").fill("event.data.tenant")
    group.get_by_label("key").press("Enter")
    form.get_by_label("rerun").select_option("never")
    form.get_by_text("debounce", exact=True).click()
    quiet = form.locator("details.parts", has_text="debounce")
    quiet.get_by_label("for").fill("30s")
    quiet.get_by_label("for").press("Enter")
    assert source(page) == before.replace(
        "start: opened\n",
        "start:\n  event: opened\n  concurrency:\n    limit: 5\n    key: event.data.tenant\n"
        "  rerun: never\n  debounce:\n    for: 30s\n",
    )
    expect(page.locator(".editor-bar")).to_contain_text("No problems")
    # What the hub says of it stands at the form's node.
    quiet.get_by_label("max").fill("1s")
    quiet.get_by_label("max").press("Enter")
    expect(page.locator(".editor-bar")).to_contain_text("1 error")
    quiet.get_by_label("max").fill("")
    quiet.get_by_label("max").press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Saved")).to_be_visible()
    # Taken away again piece by piece, it is a name again.
    for part, label in ((quiet, "for"), (group, "limit"), (group, "key")):
        part.get_by_label(label).fill("")
        part.get_by_label(label).press("Enter")
    form.get_by_label("rerun").select_option("")
    assert source(page) == before


def test_fifty_edits_undone_and_done_again_are_the_same_bytes(
    hub: HubProcess, page: Page, tree: str
) -> None:
    # Nothing glides, and nodes are chosen by keys: there is nothing to wait for between two edits.
    page.emulate_media(reduced_motion="reduce")
    open_tree(page, tree)
    texts = [source(page)]
    while len(texts) <= 50:
        number = len(texts)
        match number % 5:
            case 0:
                pick(page, "do[2]")
                page.keyboard.press("Control+d")
            case 1:
                pick(page, "do[1]")
                wrap(page, "try")
            case 2:
                pick(page, "do[2]")
                wrap(page, "fallback")
            case 3:
                pick(page, "do[2]")
                page.keyboard.press("Delete")
            case _:
                pick(page, "do")
                page.keyboard.press("a")
                page.get_by_label("Find a node").fill("delay")
                page.keyboard.press("Enter")
                page.keyboard.press("Escape")
        now = source(page)
        assert now != texts[-1], f"edit {number} changed nothing"
        texts.append(now)
    pick(page, "do")
    assert texts_after(page, "z", 50) == texts[-2::-1]
    assert source(page) == TREE.format(name=tree)
    assert texts_after(page, "y", 50) == texts[1:]


def test_comments_go_with_what_they_are_about(page: Page, tree: str) -> None:
    open_tree(page, tree)
    card(page, "do[1].fallback[1]").click()
    page.keyboard.press("Alt+ArrowUp")
    text = source(page)
    assert (
        "  - fallback:                # in time, or not\n"
        "      # too late\n"
        "      - log: too late\n"
        "      - id: in_time\n"
        "        wait_for: closed\n"
        "        timeout: 2h\n"
    ) in text
    card(page, "do[0]").click()
    wrap(page, "try")
    assert (
        "  - try:\n"
        "      # first the mail\n"
        "      - id: greet\n"
        "        email.send:\n"
        "          to: a@example.com      # for now\n"
        "          subject: 'Hello'\n"
    ) in source(page)


def test_the_text_is_coloured_folded_and_goes_on_where_it_should(page: Page, tree: str) -> None:
    open_tree(page, tree)
    page.locator(".cm-content").evaluate(
        """(one, insert) => {
          const { view } = one.cmTile;
          view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert } });
        }""",
        COLOURED,
    )
    expect(page.locator(".cm-line").nth(18)).to_be_attached()
    pieces = coloured(page)
    assert pieces["accent"] == [
        *("tree", "do", "log", "set", "n", "is", "s", "t", "email.send", "to", "text", "at"),
        *("html", '"quoted"', "n", "delay", "log"),
    ]
    assert pieces["good"] == [
        *('"a ', ' \\" # b"', "'it''s 5'", "key: no key", "12 # {% if x %}"),
        *("'", "b: c'", "more"),
    ]
    assert pieces["wait"] == ["1.5", "true", "7", "-3"]
    assert pieces["faint"] == ["# all that a text of a tree may hold", "# said"]
    assert "&mail" in pieces["soft"]
    assert pieces["soft"].count("-") == 5, "a dash within a text is a part of it"
    assert pieces["stop"] == ["${{ event.data.id }}", "${{ a }}", "${{ vars.wait", "or 5 }}"]
    # What hangs below a line is folded away, and unfolded.
    content = page.locator(".cm-content")
    page.locator(".cm-line", has_text="email.send").click()
    page.keyboard.press("Control+Shift+BracketLeft")
    expect(content).not_to_contain_text("quoted")
    expect(content).to_contain_text("delay")
    page.keyboard.press("Control+Shift+BracketRight")
    expect(content).to_contain_text("quoted")
    # A new line stands where what comes next belongs.
    for line, indent in (("- log: it's", 2), ("    n: -3", 4), ("    text: |", 6)):
        page.locator(".cm-line", has_text=line.strip()).first.click()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.keyboard.type("x")
        text = source(page)
        before, _, _ = text.partition("\n" + " " * indent + "x\n")
        assert before.split("\n")[-1].startswith(line), text


def test_copy_and_paste_give_free_ids(page: Page, tree: str) -> None:
    open_tree(page, tree)
    card(page, "do[1].fallback[0]").click()
    page.keyboard.press("Control+c")
    card(page, "do[2]").click()
    page.keyboard.press("Control+v")
    expect(card(page, "do[3]")).to_contain_text("in_time_2")
    assert source(page).count("id: in_time\n") == 1


def test_nodes_are_dragged_in_and_about(page: Page, tree: str) -> None:
    open_tree(page, tree)
    page.get_by_role("button", name="Add").click()
    palette = page.get_by_role("region", name="Nodes to add")
    palette.get_by_label("Find a node").fill("succeed")
    # In the middle of a node that holds others: into it, at its end.
    palette.get_by_role("button", name="succeed").drag_to(card(page, "do[1]"))
    expect(card(page, "do[1].fallback[2]")).to_contain_text("succeed")
    page.keyboard.press("Escape")
    card(page, "do[2]").drag_to(card(page, "do[0]"), target_position={"x": 60, "y": 6})
    expect(card(page, "do[0]")).to_contain_text("delay")
    expect(card(page, "do[1]")).to_contain_text("greet")


def test_what_is_wrong_shows_at_its_line_and_its_node(page: Page, tree: str) -> None:
    open_tree(page, tree)
    expect(page.get_by_text("No problems")).to_be_visible()
    page.locator(".cm-line", has_text="wait_for: closed").click()
    page.keyboard.press("End")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")
    fault = page.locator(".faults summary")
    expect(fault).to_contain_text("1 error")
    expect(card(page, "do[1].fallback[0]").locator(".fault-error")).to_be_visible()
    fault.click()
    expect(page.locator(".faults")).to_contain_text("did you mean `closed`?")
    expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    # What has errors is not saved, and says why.
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("1 error")
    # Broken as YAML: the drawing of before stays.
    page.locator(".cm-line", has_text="start: opened").click()
    page.keyboard.press("End")
    page.keyboard.type("  : [")
    expect(page.locator(".editor-canvas.old")).to_be_visible()
    expect(card(page, "do[2]")).to_be_visible()


def test_two_people_do_not_overwrite_each_other(hub: HubProcess, page: Page, tree: str) -> None:
    open_tree(page, tree)
    theirs = TREE.format(name=tree).replace("delay: 1h", "delay: 5h")
    file_of(hub, tree).write_text(theirs)
    card(page, "do[2]").click()
    page.keyboard.press("Control+d")
    page.get_by_role("button", name="Save", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Somebody else has changed this tree")
    assert file_of(hub, tree).read_text() == theirs
    alert.get_by_role("button", name="Keep mine").click()
    expect(page.get_by_role("button", name="Saved")).to_be_disabled()
    assert file_of(hub, tree).read_text() == source(page)


def test_a_tree_is_drawn_from_nothing_and_runs(hub: HubProcess, page: Page) -> None:
    """User onboarding, from an empty canvas to a run that goes on by the mail's link."""
    page.goto("/trees")
    page.get_by_role("button", name="New tree").click()
    page.get_by_label("Name").fill("drawn")
    page.get_by_role("button", name="Draw it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("drawn")
    choose(page, "do")
    form = page.get_by_role("region", name="Fields of drawn")
    form.get_by_label("Name of a new event").fill("verified")
    form.get_by_role("button", name="Add event").click()
    started = form.get_by_role("group", name="started")
    started.get_by_label("where").fill('event.type == "drawn.signed_up"')
    page.keyboard.press("Enter")
    expect(page.locator(".cm-content")).to_contain_text("drawn.signed_up")

    def add(verb: str) -> None:
        page.keyboard.press("a")
        page.get_by_label("Find a node").fill(verb)
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")

    def fill(label: str, text: str) -> None:
        page.locator(".editor-form").get_by_label(label).first.fill(text)
        page.keyboard.press("Enter")

    choose(page, "do")
    add("email.send")
    expect(card(page, "do[0]")).to_be_visible()
    choose(page, "do[0]")
    fill("to *", "${{ event.data.email }}")
    fill("subject", "Welcome")
    fill("text", "Please confirm: ${{ callback('verified') }}")
    choose(page, "do")
    add("wait_for")
    choose(page, "do[1]")
    page.locator(".editor-form").get_by_label("event").first.select_option("verified")
    page.locator(".editor-form summary").click()
    fill("timeout", "24h")
    choose(page, "do[1]")
    wrap(page, "fallback")
    choose(page, "do[1]")
    expect(card(page, "do[1].fallback[0]")).to_contain_text("verified")
    choose(page, "do")
    add("delay")
    choose(page, "do[2]")
    fill("duration", "7 days")
    expect(page.get_by_text("No problems")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("button", name="Saved")).to_be_disabled()
    hub.until(
        lambda: "drawn" in [one["name"] for one in hub.get("/api/trees")["items"]], "the tree"
    )

    hub.post(
        "/hooks/app",
        {
            "id": "d1",
            "type": "drawn.signed_up",
            "data": {"id": "k1", "email": "drawn-from-nothing@example.com"},
        },
    )
    page.goto("/runs/drawn/k1")
    expect(card(page, "do[1].fallback[0]")).to_contain_text("waiting")
    hub.until(lambda: any("drawn-from-nothing@" in str(mail) for mail in hub.mails()), "the mail")
    (mail,) = [one for one in hub.mails() if "drawn-from-nothing@" in str(one)]
    link = re.search(
        rf"{re.escape(hub.url)}/callbacks/[\w.-]+",
        str(hub.get(f"/dev/mail/{mail['n']}", accept="application/json")),
    )
    assert link is not None
    clicked = page.context.new_page()
    clicked.goto(link[0])
    clicked.get_by_role("button").click()
    clicked.close()
    expect(card(page, "do[1].fallback[0]")).to_contain_text("succeeded")
    expect(card(page, "do[2]")).to_contain_text("waiting")


def test_leaving_with_changes_asks(page: Page, tree: str) -> None:
    open_tree(page, tree)
    card(page, "do[2]").click()
    page.keyboard.press("Control+d")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("navigation").get_by_role("link", name="Runs").click()
    assert asked == ["Leave without saving what was changed?"]
    expect(card(page, "do[3]")).to_be_visible()


def test_a_run_of_another_definition_keeps_its_own(hub: HubProcess, page: Page) -> None:
    run = sign_up(hub, "pinned1")
    assert hub.run(run)["hash"] == hub.get("/api/trees/user-onboarding")["hash"]
    page.goto(f"/runs/{run}")
    expect(page.get_by_text("The tree has changed since this run began")).to_have_count(0)


def test_a_scenario_is_tried_and_watched_on_the_canvas(page: Page, tree: str) -> None:
    """What is typed and not saved yet is tried; virtual time goes back and forth."""
    open_tree(page, tree)
    card(page, "do[2]").click()
    page.keyboard.press("Control+d")
    card(page, "do").focus()
    page.keyboard.press("t")
    panel = page.get_by_role("region", name="Try it")
    panel.get_by_role("button", name="closed").click()
    panel.get_by_label("after").fill("90m")
    page.keyboard.press("Control+Enter")
    outcome = panel.get_by_role("status")
    expect(outcome).to_contain_text("succeeded", timeout=60_000)
    expect(outcome).to_contain_text("after 3 h 30 min")
    expect(outcome).to_contain_text("email.send")
    expect(card(page, "do[1].fallback[0]")).to_contain_text("succeeded · 1 h 30 min")
    expect(card(page, "do[1].fallback[1]")).to_contain_text("to come")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(card(page, "do[1].fallback[0]")).to_contain_text("waiting")
    expect(card(page, "do[2]")).to_contain_text("to come")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", "after 1 h 30 min")
    expect(card(page, "do[2]")).to_contain_text("waiting")
    # Without the event the wait fails, and the other way is gone.
    panel.get_by_role("button", name="Take away number 1").click()
    panel.get_by_role("button", name="Again").click()
    expect(card(page, "do[1].fallback[0]")).to_contain_text("failed", timeout=60_000)
    expect(card(page, "do[1].fallback[1]")).to_contain_text("succeeded")


def test_a_trial_says_where_it_fails_and_what_is_wrong(page: Page, tree: str) -> None:
    open_tree(page, tree)
    page.get_by_role("button", name="Try it").click()
    panel = page.get_by_role("region", name="Try it")
    outcome = panel.get_by_role("status")
    panel.get_by_role("button", name="email.send", exact=True).click()
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(outcome).to_contain_text("Show where", timeout=60_000)
    outcome.get_by_role("button", name="Show where").first.click()
    expect(card(page, "do[0]").locator(".selected")).to_have_count(1)
    # What is wrong with the scenario is said at its line.
    panel.get_by_role("button", name="Text", exact=True).click()
    panel.get_by_label("The scenario as YAML").fill("name: x\nstart: {type: opend}\n")
    panel.get_by_role("button", name="Again").click()
    expect(panel.get_by_role("alert")).to_contain_text("line 2", timeout=60_000)
    expect(panel.get_by_role("alert")).to_contain_text("did you mean `opened`?")


def test_found_on_the_canvas_by_the_keyboard(page: Page, tree: str) -> None:
    open_tree(page, tree)
    card(page, "do").click()
    page.keyboard.press("Control+f")
    page.get_by_label("Find in the drawing").fill("log late")
    page.keyboard.press("Enter")
    expect(card(page, "do[1].fallback[1]").locator(".selected")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    expect(card(page, "do[1].fallback[1]")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_a_large_tree_is_drawn_as_far_as_it_is_seen(hub: HubProcess, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    (hub.project / "trees" / "hundreds.yaml").write_text(large_tree("hundreds", 300))
    hub.until(
        lambda: "hundreds" in [one["name"] for one in hub.get("/api/trees")["items"]], "the tree"
    )
    page.goto("/trees/hundreds")
    cards = page.locator(".node")
    expect(card(page, "do")).to_contain_text("starts with begun")
    assert cards.count() < 150
    # The line between text and drawing is moved by keys, and stays there.
    line = page.get_by_role("separator", name="Between text and drawing")
    before = line.bounding_box()
    line.focus()
    page.keyboard.press("ArrowLeft")
    expect(line).to_have_attribute("aria-valuenow", "34")
    moved = line.bounding_box()
    assert before is not None
    assert moved is not None
    assert moved["x"] < before["x"]
    page.reload()
    expect(line).to_have_attribute("aria-valuenow", "34")
    # From far away each is a colour; a click on one leads there, and the arrow keys go on.
    page.get_by_role("button", name="Show all").click()
    expect(cards).to_have_count(300)
    assert card(page, "do[24]").inner_text() == ""
    card(page, "do[24].fallback[0]").click()
    expect(card(page, "do[24].fallback[0]")).to_contain_text("wait_24")
    page.keyboard.press("ArrowDown")
    expect(card(page, "do[24].fallback[1]")).to_be_focused()
    # A change of a part leaves all else as it was.
    text = source(page)
    page.keyboard.press("Delete")
    expect(card(page, "do[24].fallback[1]")).to_contain_text("mail_24")
    assert source(page) == text.replace(
        "      - log: part 24 is late for ${{ event.data.id }}\n", "", 1
    )
    page.keyboard.press("Control+z")
    expect(card(page, "do[24].fallback[1]")).to_contain_text("part 24 is late")
    assert source(page) == text
