"""Writing a document as YAML: as a person would, or into the text that it came from.

A changed document is written back so that comments, order and quotes stay as they were wherever the
value did.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from io import StringIO
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from hub.tree.yaml import Document, read_yaml

__all__ = ["write_yaml"]

_WIDTH = 100


def write_yaml(value: Any, *, like: Document | None = None) -> str:
    """The document as YAML. Read back, it is the same value.

    `like` is what it was before: what has not changed is written as it stands there.
    """
    if like is None or like.commented is None:
        return _dumped(_fresh(value))
    if like.value == value and _same_order(like.value, value):
        return like.text
    # What is merged into is changed by it, so it is read once more.
    before = read_yaml(like.text).commented
    return _dumped(_merged(before, like.value, value))


def _dumped(value: Any) -> str:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def _fresh(value: Any) -> Any:
    if isinstance(value, dict):
        return CommentedMap((key, _fresh(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return CommentedSeq(_fresh(item) for item in value)
    return value


def _same_order(before: Any, after: Any) -> bool:
    if isinstance(before, dict) and isinstance(after, dict):
        return list(before) == list(after) and all(_same_order(before[k], after[k]) for k in after)
    if isinstance(before, list) and isinstance(after, list):
        return all(_same_order(b, a) for b, a in zip(before, after, strict=True))
    return True


def _merged(commented: Any, before: Any, after: Any) -> Any:
    """The commented form of `before`, changed to say `after`."""
    if isinstance(commented, CommentedMap) and isinstance(after, dict):
        return _merged_map(commented, before, after)
    if isinstance(commented, CommentedSeq) and isinstance(after, list):
        return _merged_list(commented, before, after)
    if type(before) is type(after) and before == after:
        return commented
    return _fresh(after)


def _merged_map(commented: CommentedMap, before: dict[str, Any], after: dict[str, Any]) -> Any:
    # A key may be written as a number or a word of YAML; its text is what the document has.
    written = dict(zip(before, list(commented), strict=True))
    for key in before:
        if key not in after:
            del commented[written[key]]
    for key, item in after.items():
        if key in before:
            commented[written[key]] = _merged(commented[written[key]], before[key], item)
        else:
            commented[key] = _fresh(item)
    kept = [written.get(key, key) for key in after]
    if list(commented) != kept:
        for key in kept:
            commented.move_to_end(key)
    return commented


def _merged_list(commented: CommentedSeq, before: list[Any], after: list[Any]) -> CommentedSeq:
    items: list[Any] = []
    match = SequenceMatcher(None, [_mark(i) for i in before], [_mark(i) for i in after], False)
    for what, old, old_end, new, new_end in match.get_opcodes():
        if what == "equal":
            items += [commented[index] for index in range(old, old_end)]
            continue
        for offset in range(new_end - new):
            index = old + offset
            if index < old_end:
                items.append(_merged(commented[index], before[index], after[new + offset]))
            else:
                items.append(_fresh(after[new + offset]))
    merged = CommentedSeq(items)
    if commented.fa.flow_style():
        merged.fa.set_flow_style()
    if commented.ca.comment is not None:
        merged.ca.comment = commented.ca.comment
    # Comments between plain items hang on their indexes.
    for place, comment in commented.ca.items.items():
        if place < len(items):
            merged.ca.items[place] = comment
    return merged


def _mark(value: Any) -> bytes:
    return msgspec.json.encode(value)
