"""Trees as workflow classes in a plain Temporal worker, and the programs of docs/python.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Replayer, Worker

with workflow.unsafe.imports_passed_through():
    from hub import Tree
    from hub.nodes import (
        Check,
        Delay,
        EmailSend,
        Fallback,
        Log,
        Repeat,
        RunTree,
        Saga,
        Set,
        Succeed,
        Try,
        WaitFor,
    )
    from hub.nodes import (
        Sequence as Steps,
    )
    from hub.temporal.dev_server import DevServer

PAGE = Path(__file__).parent.parent.parent / "docs" / "python.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
EVENTS = {
    "begun": {"webhook": "app", "where": 'event.type == "begun"', "key": "event.data.id"},
    "ended": {"webhook": "app", "where": 'event.type == "ended"', "key": "event.data.id"},
}


@workflow.defn
class ByHand:
    """What people have already."""

    @workflow.run
    async def run(self, name: str) -> str:
        return f"hello {name}"


def tree(name: str, *do: Any) -> Tree:
    return Tree.define(name, events=EVENTS, start="begun", do=Steps(*do))


@pytest.fixture
async def client(server: DevServer) -> Client:
    # As anybody connects: Temporal's own payload converter.
    return await Client.connect(server.address)


@asynccontextmanager
async def worker(
    client: Client, workflows: Sequence[type], activities: Sequence[Any] = ()
) -> AsyncIterator[str]:
    queue = f"plain-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=workflows, activities=activities):
        yield queue


def new_id() -> str:
    return uuid.uuid4().hex


async def test_beside_a_workflow_written_by_hand(client: Client) -> None:
    greeting = tree("greeting", Set({"n": "${{ event.data.id }}"}), Succeed("${{ vars.n }}"))
    async with worker(client, [greeting.to_workflow(), ByHand]) as queue:
        assert (
            await client.execute_workflow(ByHand.run, "you", id=new_id(), task_queue=queue)
            == "hello you"
        )
        result = await client.execute_workflow(
            "greeting", {"id": "u1"}, id=new_id(), task_queue=queue
        )
        assert result == "u1"


async def test_the_snippet_of_the_original_design_runs(client: Client) -> None:
    text = 'type: Delay\nconfig:\n  duration: "7 days"\n'
    wait = Tree.loads(text, file="wait.yaml")
    async with worker(client, [wait.to_workflow()]) as queue:
        handle = await client.start_workflow("wait", id=new_id(), task_queue=queue)
        state = await handle.query("state")
        while not state["waiting_for"]:
            state = await handle.query("state")
        node = state["nodes"]["do"]
        assert (node["type"], node["status"]) == ("delay", "waiting")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)


@pytest.mark.parametrize(
    ("signal", "value"),
    [
        ("ended", {"id": "u1", "colour": "red"}),
        (
            "ended",
            {
                "specversion": "1.0",
                "id": "e1",
                "source": "/x",
                "type": "ended",
                "data": {"id": "u1", "colour": "red"},
            },
        ),
        ("event", {"specversion": "1.0", "type": "ended", "data": {"id": "u1", "colour": "red"}}),
    ],
)
async def test_its_events_are_signals(client: Client, signal: str, value: Any) -> None:
    waiting = tree("waiting", WaitFor("ended", id="w"), Succeed("${{ steps.w.data.colour }}"))
    async with worker(client, [waiting.to_workflow()]) as queue:
        handle = await client.start_workflow("waiting", {"id": "u1"}, id=new_id(), task_queue=queue)
        # What is no event of the tree does not stop the run.
        await handle.signal("unheard_of", 1)
        await handle.signal("event", "no event")
        await handle.signal("event", {"specversion": "1.0", "type": "ended", "data": {"id": "u2"}})
        await handle.signal(signal, value)
        assert await handle.result() == "red"


async def test_an_event_that_came_twice_counts_once(client: Client) -> None:
    waiting = tree(
        "twice",
        WaitFor("ended"),
        Fallback(WaitFor("ended", timeout="300ms"), Succeed("once")),
    )
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/x",
        "type": "ended",
        "data": {"id": "u1"},
    }
    async with worker(client, [waiting.to_workflow()]) as queue:
        handle = await client.start_workflow("twice", {"id": "u1"}, id=new_id(), task_queue=queue)
        await handle.signal("event", event)
        await handle.signal("event", event)
        assert await handle.result() == "once"


async def test_a_failure_has_the_nodes_code(client: Client) -> None:
    failing = tree("failing", Check("false", message="no luck"))
    async with worker(client, [failing.to_workflow()]) as queue:
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow("failing", {"id": "u1"}, id=new_id(), task_queue=queue)
        cause = caught.value.cause
        assert isinstance(cause, ApplicationError)
        assert (cause.type, cause.message) == ("check_failed", "no luck")


async def test_a_start_without_its_key_ends_at_once(client: Client) -> None:
    keyed = tree("keyed", Log("hello"))
    async with worker(client, [keyed.to_workflow()]) as queue:
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow("keyed", {"no": "id"}, id=new_id(), task_queue=queue)
        assert "gives no key" in str(caught.value.cause)


async def test_actions_are_activities(client: Client) -> None:
    sending = tree(
        "sending",
        Try(
            EmailSend(to="a@example.com", subject="hello", text="hello"),
            catch=Succeed("${{ error.code }}"),
        ),
    )
    activities = sending.activities(env={})
    assert [activity._Definition.must_from_callable(a).name for a in activities] == ["email.send"]
    async with worker(client, [sending.to_workflow()], activities) as queue:
        # There is no connection for it, and that is what the tree is told.
        result = await client.execute_workflow(
            "sending", {"id": "u1"}, id=new_id(), task_queue=queue
        )
        assert result == "unknown_connection"


async def test_a_tree_that_runs_another(client: Client) -> None:
    inner = tree("inner", Succeed("${{ event.data.n + 1 }}"))
    outer = tree("outer", RunTree("inner", with_={"id": "i1", "n": 41}))
    async with worker(client, [outer.to_workflow([inner]), inner.to_workflow()]) as queue:
        result = await client.execute_workflow(
            "outer", {"id": new_id()}, id=new_id(), task_queue=queue
        )
        assert result == 42


async def test_cancelling_takes_a_saga_back(client: Client) -> None:
    saga = tree(
        "taken-back",
        Saga(
            Set({"n": 1}, undo=Set({"n": "${{ vars.n + 1 }}"})),
            Delay("7 days"),
        ),
    )
    async with worker(client, [saga.to_workflow()]) as queue:
        handle = await client.start_workflow(
            "taken-back", {"id": "u1"}, id=new_id(), task_queue=queue
        )
        while not (await handle.query("state"))["waiting_for"]:
            await asyncio.sleep(0.01)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        state = await handle.query("state")
        assert (state["status"], state["vars"]["n"]) == ("cancelled", 2)


async def test_its_histories_replay(client: Client) -> None:
    looping = tree(
        "looping",
        Repeat(3, do=Steps(Delay("1ms"), Set({"n": "${{ (vars.n | default(0)) + 1 }}"}))),
        WaitFor("ended"),
        Succeed("${{ vars.n }}"),
    )
    kind = looping.to_workflow()
    async with worker(client, [kind]) as queue:
        handle = await client.start_workflow("looping", {"id": "u1"}, id=new_id(), task_queue=queue)
        await handle.signal("ended", {"id": "u1"})
        assert await handle.result() == 3
        history = await handle.fetch_history()
    await Replayer(workflows=[kind]).replay_workflow(history)


# -- the page -------------------------------------------------------------------------------------


async def test_the_first_program_of_the_page(server: DevServer, tmp_path: Path) -> None:
    program = PROGRAMS[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
    file = tmp_path / "program.py"
    file.write_text(program.replace("localhost:7233", server.address), encoding="utf-8")
    out = await _output(file)
    state = eval(out)  # what print() shows of a dict
    assert json.dumps(state["tree"]) == '"wait"'
    assert state["status"] == "running"


async def test_a_program_with_its_own_workflow_in_the_same_file(
    server: DevServer, tmp_path: Path
) -> None:
    # Its file is imported once more, in the sandbox of the workflow that is written by hand.
    program = PROGRAMS[0].replace("localhost:7233", server.address)
    program = program.replace(
        "async def main",
        "from temporalio import workflow\nfrom hub.nodes import Delay\nassert Delay('1h')\n\n"
        "@workflow.defn\nclass Mine:\n    @workflow.run\n    async def run(self) -> str:\n"
        "        return 'mine'\n\nasync def main",
    )
    program = program.replace("[wait.to_workflow()]", "[wait.to_workflow(), Mine]").replace(
        "wait-1", "wait-2"
    )
    program = program.replace('"mine"', '"others"').replace(
        'query("state"))',
        'query("state"))\n        print(await client.execute_workflow(Mine.run, id="m", task_queue="others"))',
    )
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    out = await _output(file)
    assert out.splitlines()[-1] == "mine"


async def _output(program: Path) -> str:
    """What the program says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PAGE.parent.parent)},
    )
    out, errors = await process.communicate()
    # Threads of Temporal's client may come back while the interpreter is taken down; Python before
    # 3.14 then dies of it, after all was done and said.
    is_over = b"PyGILState_Release" in errors and b"finalizing" in errors
    assert process.returncode == 0 or is_over, errors.decode()
    return out.decode()


def test_the_last_program_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PROGRAMS[2], {})
    printed = capsys.readouterr().out
    assert Tree.loads(printed).name == "user-onboarding"
