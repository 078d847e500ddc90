"""What msgspec knows of our structs is whole before threads decode them."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from hub.structs import learn_structs

# Thirty structs, one within the other, decoded for the first time by four threads at once. Without
# what is tested the process dies in about two of three times.
_THREADS = """
import sys, threading, types
import msgspec
from hub.structs import learn_structs

sys.setswitchinterval(1e-6)
module = sys.modules["nested"] = types.ModuleType("nested")
exec(
    "import msgspec\\nclass S30(msgspec.Struct):\\n    a: int\\n"
    + "\\n".join(
        f"class S{n}(msgspec.Struct):\\n    a: int\\n    b: 'list[S{n + 1}]'\\n    c: 'dict[str, S{n + 1}]'"
        for n in range(30)
    ),
    module.__dict__,
)
learn_structs()
together = threading.Barrier(4)

def decode():
    together.wait()
    msgspec.json.decode(b'{"a": 1, "b": [{"a": 2, "b": [], "c": {}}], "c": {}}', type=module.S0)

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_decode_what_was_learnt_do_not_crash() -> None:
    for _ in range(8):
        done = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def test_a_struct_that_cannot_be_decoded_stops_nobody() -> None:
    class Odd(msgspec.Struct):
        value: _NotThere  # type: ignore[name-defined]  # noqa: F821

    learn_structs()
    with pytest.raises(NameError):
        msgspec.json.decode(b"{}", type=Odd)
