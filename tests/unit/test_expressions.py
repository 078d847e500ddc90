from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ExpressionError, Gone
from hub.event import Event
from hub.expressions import Expression, compile_expression, compile_template, unknown_names
from hub.expressions.bounds import MAX_ITEMS, MAX_SOURCE, MAX_TEXT


class Account(msgspec.Struct):
    name: str
    tags: list[str] = []
    _secret: str = "hidden"

    @property
    def shouted(self) -> str:
        return self.name.upper()

    def rename(self) -> None:
        self.name = "renamed"


def scope() -> dict[str, Any]:
    return {
        "event": {
            "id": "e1",
            "type": "user.signed_up",
            "data": {
                "user_id": "u1",
                "email": "a@example.com",
                "first-name": "Ada",
                "age": 36,
                "score": 1.5,
                "admin": False,
                "nothing": None,
                "tags": ["b", "a", "B"],
                "lines": [
                    {"sku": "x", "price": 2, "user": {"name": "n1"}},
                    {"sku": "y", "price": 1, "user": {"name": "n2"}},
                    {"sku": "x", "price": 3},
                ],
            },
        },
        "vars": {"email": "a@example.com", "big": "x" * 1000},
        "steps": {},
        "run": {"id": "tree/u1", "key": "u1"},
        "account": Account("ann", ["t"]),
        "at": datetime(2030, 1, 31, 9, tzinfo=UTC),
        "day": date(2030, 1, 31),
        "length": timedelta(hours=2),
    }


def value_of(text: str, **names: Any) -> Any:
    return compile_expression(text).evaluate(scope() | names)


def error_of(text: str, **names: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as error:
        value_of(text, **names)
    return error.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # data
        ("event.type", "user.signed_up"),
        ("event['data']['user_id']", "u1"),
        ("event.data['first-name']", "Ada"),
        ("event.data.lines[0].price", 2),
        ("event.data.lines.1.sku", "y"),
        ("event.data.tags[-1]", "B"),
        ("event.data.tags[:2]", ["b", "a"]),
        ("event.type[:4]", "user"),
        ("event.data.nothing", None),
        # logic
        ('event.type == "user.signed_up"', True),
        ("event.data.age > 30 and event.data.age <= 36", True),
        ("1 < event.data.age < 10", False),
        ("event.data.age in [1, 36]", True),
        ("'a' not in ('b', 'c')", True),
        ("'user_id' in event.data", True),
        ("not event.data.admin", True),
        ("event.data.nothing or 'other'", "other"),
        ("event.data.admin and 1 / 0", False),
        ("'old' if event.data.age > 30 else 'young'", "old"),
        ("'yes' if false", None),
        # arithmetic
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("7 // 2, 7 % 3"[:6], 3),
        ("7 % 3", 1),
        ("2 ** 10", 1024),
        ("-event.data.age", -36),
        ("2 ** -1", 0.5),
        ("[1] + [2]", [1, 2]),
        ("'a' + 'b'", "ab"),
        ("'-' * 3", "---"),
        ("2 * [1]", [1, 1]),
        ("1 ~ none ~ true ~ 'x' ~ [1]", "1truex[1]"),
        # displays
        ("{'a': {'b': [1, (2, 3)]}}", {"a": {"b": [1, [2, 3]]}}),
        ("{200: 'ok'}[200]", "ok"),
        ("range(3)", [0, 1, 2]),
        ("range(10, 4, -2)", [10, 8, 6]),
        ("dict(a=1, work=2)", {"a": 1, "work": 2}),
        # what may be missing
        ("event.data.who is defined", False),
        ("event.data.who.else is defined", False),
        ("nobody is undefined", True),
        ("event.data.nothing is defined", True),
        ("event.data.who | default('y')", "y"),
        ("event.data.a.b['c'][0] | default('y')", "y"),
        ("nobody | default('y')", "y"),
        ("event.data.nothing | default('y')", None),
        ("event.data.nothing | default('y', true)", "y"),
        ("event.data.nothing | d(default_value='y', boolean=true)", "y"),
        ("[] | first | default('none yet')", "none yet"),
        ("event.data.get('a')", None),
        ("event.data.get('a', 5)", 5),
        # methods
        ("event.data.keys()[0]", "user_id"),
        ("{'a': 1}.items()", [["a", 1]]),
        ("{'a': 1}.values()", [1]),
        ("event.data.email.split('@')[1]", "example.com"),
        ("event.data.email.endswith(['.org', '.com'])", True),
        ("' A '.strip().lower()", "a"),
        ("'a-b'.partition('-')", ["a", "-", "b"]),
        ("','.join(event.data.tags)", "b,a,B"),
        ("'7'.zfill(3)", "007"),
        ("event.data.tags.index('a')", 1),
        # structs and times
        ("account.name", "ann"),
        ("account['tags'][0]", "t"),
        ("at.year", 2030),
        ("at.isoformat()", "2030-01-31T09:00:00Z"),
        ("at.strftime('%Y/%m')", "2030/01"),
        ("at.timestamp()", 1896080400.0),
        ("day.weekday()", 3),
        ("(at + length).hour", 11),
        ("(at - ('1 day' | timedelta)) < at", True),
        ("length.total_seconds()", 7200.0),
        ("at == ('2030-01-31T10:00:00+01:00' | time)", True),
        # filters
        ("event.data.tags | sort", ["a", "b", "B"]),
        ("event.data.tags | sort(case_sensitive=true, reverse=true)", ["b", "a", "B"]),
        ("event.data.tags | unique", ["b", "a"]),
        ("[{'a': 1}, {'a': 1}, 1, '1'] | unique | length", 3),
        ("event.data.lines | map(attribute='sku') | join(',')", "x,y,x"),
        ("event.data.lines | map(attribute='user.name', default='?')", ["n1", "n2", "?"]),
        ("event.data.tags | map('upper') | join", "BAB"),
        ("event.data.tags | map('replace', 'b', 'c')", ["c", "a", "B"]),
        ("event.data.lines | sum('price')", 6),
        ("event.data.lines | sort(attribute='price') | map(attribute='price')", [1, 2, 3]),
        ("event.data.lines | selectattr('sku', 'eq', 'x') | length", 2),
        ("event.data.lines | rejectattr('user', 'defined') | map(attribute='price')", [3]),
        ("event.data.lines | selectattr('user.name') | length", 2),
        ("range(6) | select('odd')", [1, 3, 5]),
        ("[0, 1, ''] | reject", [0, ""]),
        ("event.data.lines | groupby('sku') | map(attribute='grouper')", ["x", "y"]),
        ("[3, 1] | min", 1),
        ("event.data.lines | max(attribute='price') | json", '{"sku":"x","price":3}'),
        ("range(5) | batch(2, 0)", [[0, 1], [2, 3], [4, 0]]),
        ("range(5) | slice(2)", [[0, 1, 2], [3, 4]]),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("{'a': [1, 'ü']} | json", '{"a":[1,"ü"]}'),
        ("'[1, {}]' | from_json", [1, {}]),
        ("'1h30m' | duration", 5400),
        ("'250ms' | duration", 0.25),
        ("'abc' | hash", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("({'a': 1, 'b': 2} | hash) == ({'b': 2, 'a': 1} | hash)", True),
        ("'Ünïcode  Slug!' | slug", "unicode-slug"),
        ("'a,b' | split(',')", ["a", "b"]),
        ("'%05.1f of %s%%' | format(2.25, 'x')", "002.2 of x%"),
        ("'hello world' | title | truncate(8, leeway=0)", "Hello..."),
        ("'<a>' | escape", "&lt;a&gt;"),
        ("{'q': 'a b', 'r': 1} | urlencode", "q=a%20b&r=1"),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("'3.7' | int, 1"[:11], 3),
        ("'x' | int(-1)", -1),
        ("'1e400' | float(2)", 2),
        ("2.5 | round(0, 'ceil')", 3.0),
        ("'abc' | reverse", "cba"),
        ("'x' is string and 1 is number and [] is sequence and {} is mapping", True),
        ("true is number", False),
        ("6 is divisibleby 3", True),
        ("none is none", True),
        # the whole in its own braces
        ("${{ event.data.age }}", 36),
        ("  ${{ {'a': '}}'} }}  ", {"a": "}}"}),
    ],
)
def test_evaluates(text: str, expected: Any) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "says", "suggests"),
    [
        ("event.data.user_idd", "event.data has no 'user_idd'", "did you mean 'user_id'?"),
        ("evnt.type", "there is no 'evnt'", "did you mean 'event'?"),
        ("event.data.user_idd == 'x'", "has no 'user_idd'", "did you mean 'user_id'?"),
        ("event.data['user_idd']", "has no 'user_idd'", "did you mean 'user_id'?"),
        ("event.data.first_name", "has no 'first_name'", "did you mean event.data['first-name']?"),
        ("event.data.items", "has no 'items'", "call it as a method: .items()"),
        ("event.type.upper", "has no 'upper'", "call it as a method: .upper()"),
        ("event.data.tags[5]", "event.data.tags has 3 items, and none at 5", None),
        ("event.data.nothing.x", "event.data.nothing is none and has no 'x'", None),
        ("event.data.zzz.x is defined and event.data.zzz", "", None),
        ("account.nam", "account has no 'nam'", "did you mean 'name'?"),
        ("null", "there is no 'null'", "write none"),
        ("event.data.lines | map(attribute='user')", "has no 'user'", None),
        ("event.data.lines | selectattr('skuu', 'eq', 1)", "has no 'skuu'", "did you mean 'sku'?"),
        ("none < 3", "none cannot be compared with a number", None),
        ("'a' < 3", "a text cannot be compared with a number", None),
        ("at < ('2030-01-01T00:00:00' | time)", "one with a zone and one without", None),
        ("3 in 4", "a number cannot be in a number", None),
        ("'a' + 1", "a text + a number cannot be computed", "write ~ to join texts"),
        ("-'a'", "- a text cannot be computed", None),
        ("1 / 0", "a division by zero", None),
        ("event.data.age()", "event.data.age is a number and cannot be called", None),
        ("event()", "event is an object and cannot be called", None),
        ("event.type.encode()", "event.type is a text and has no 'encode' to call", None),
        ("[] | first", "finds nothing in an empty list", None),
        ("5 | length", "a number has no length", None),
        ("'x' | duration", "'x' is not a duration", None),
        ("'30' | duration", "write 30s or 30 minutes", None),
        ("'{' | from_json", "the text is not JSON", None),
        ("'x' | time", "is not read as a time", None),
        ("['a'] | sum", "sum adds numbers", None),
        ("{none: 1}", "the key of an object cannot be none", None),
        ("event.data.tags | map('uper')", "there is no filter 'uper'", "did you mean 'upper'?"),
        ("'%d' | format", "fewer values", None),
        ("at.strftime('%1000000000d')", "strftime takes", None),
    ],
)
def test_says_what_is_wrong(text: str, says: str, suggests: str | None) -> None:
    if not says:
        assert value_of(text) is False
        return
    error = error_of(text)
    assert says in error.message
    assert error.message.endswith(f"in `{text}`")
    assert error.suggestion == suggests
    assert error.expression == text


@pytest.mark.parametrize(
    ("text", "says", "suggests"),
    [
        ("", "is empty", None),
        ("${{ }}", "is empty", None),
        ("1 +", "cannot be read: it ends where something should follow", None),
        ("a && b", "cannot be read", "write 'and'"),
        ("a || b", "cannot be read", "write 'or'"),
        ("!a", "cannot be read", "write 'not'"),
        ("a = 1", "has '=' where it should end", "write '==' to compare"),
        ("a === 1", "cannot be read", "write '=='"),
        ("a ? b : c", "cannot be read", "write 'a if condition else b', or | default(...)"),
        ("a b", "has 'b' where it should end", None),
        ("(a", "has a '(' that is not closed", None),
        ("a)", "has a ')' that closes nothing, at offset 1", None),
        ("(a]", "has a ']' that closes nothing", None),
        ("'a", "has a text without its closing '", None),
        ("a }} b", "closes nothing", None),
        (r"'\d'", r"has the unknown escape '\d'", r"write '\\d'"),
        (r"'\ud800'", "half a character", None),
        ("a | uper", "uses the unknown filter 'uper'", "did you mean 'upper'?"),
        ("a | random", "uses the unknown filter", "expressions give the same result each time"),
        ("a is odder", "uses the unknown test 'odder'", "did you mean 'odd'?"),
        ("a | upper(1)", "with the wrong arguments", None),
        ("a | replace('x')", "with the wrong arguments", None),
        ("f(*a)", "uses * or ** in a call", None),
        ("a | join(**b)", "uses * or ** in a call", None),
        ("f()()", "calls something that has no name", None),
        ("${{ a }} and ${{ b }}", "is more than one expression", None),
        ("9" * 5000, "has a number that is too long", None),
        ("99999999999999999999999", "out of bounds", None),
        ("1e999", "not a finite number", None),
        ("a" * (MAX_SOURCE + 1), "is longer than", None),
        ("(" * 40 + "1" + ")" * 40, "is nested too deeply", None),
        ("not " * 1500 + "a", "is nested too deeply", None),
        ("-" * 8000 + "1", "is nested too deeply", None),
        ("1" + "+1" * 2000, "is nested too deeply", None),
        ("a" + ".b" * 2000, "is nested too deeply", None),
        ("a" + "|upper" * 1000, "is nested too deeply", None),
        ("1" + " if 1 else 1" * 500, "is nested too deeply", None),
    ],
)
def test_refuses_what_is_no_expression(text: str, says: str, suggests: str | None) -> None:
    with pytest.raises(ExpressionError) as error:
        compile_expression(text)
    assert says in error.value.message
    assert len(error.value.message) < 300
    if suggests is not None:
        assert error.value.suggestion is not None
        assert suggests in error.value.suggestion


@pytest.mark.parametrize("text", [True, 5, None, ["a"]])
def test_an_expression_is_a_text(text: Any) -> None:
    with pytest.raises(ExpressionError, match="an expression is a text"):
        compile_expression(text)


BIG = "x" * MAX_TEXT
HOSTILE = [
    "'a' * 10 ** 9",
    "10 ** 9 * 'a'",
    "[0] * 10 ** 9",
    "'a' * 2 ** 64",
    "2 ** 2 ** 64",
    "9 ** 9 ** 9",
    "(2 ** 63) * (2 ** 63)",
    "(-8) ** 0.5",
    "10.0 ** 400",
    "1e308 * 10",
    "range(10 ** 9)",
    "range(10 ** 18, 0, -1)",
    "range(1, 2, 0)",
    "big ~ big",
    "big + big",
    "[big, big, big, big, big, big, big, big, big]",
    "{1: big, 2: big, 3: big, 4: big, 5: big, 6: big, 7: big, 8: big, 9: big}",
    "[big, big] | json",
    "[big, big] | join",
    "big.join(['a', 'b', 'c'])",
    "'%999999999d' | format(1)",
    "'%*d' | format(9999999, 1)",
    "'%.999999999f' | format(1)",
    "'%d' % 1",
    "'{:>999999999}'.format(1)",
    "'{0.__class__}'.format(event)",
    "'x' | center(10 ** 9)",
    "'x'.center(10 ** 9)",
    "'x'.ljust(10 ** 9)",
    "'x'.zfill(10 ** 12)",
    "'a\nb' | indent(10 ** 9)",
    "'\n' * 2000 | indent(2000)",
    "('\n' * 2000) | indent(2000)",
    "big | replace('x', 'yy')",
    "big.replace('', 'yy')",
    "big | wordwrap(10)",
    "'a' | wordwrap(-1)",
    "big | slug",
    "big | split('x')",
    "big.splitlines() + big.split('x')",
    "big | list",
    "big | batch(1)",
    "[1] | batch(10 ** 9, 0)",
    "[1] | batch(0)",
    "[1] | slice(10 ** 9)",
    "[1] | slice(0)",
    "range(10000) | map('center', 100000)",
    "range(10000) | map('json', 9) | list",
    "[range(10000), range(10000)] * 10000",
    "1.5 | round(10 ** 9)",
    "'x' | truncate(-1)",
    "big * -1 ~ big ~ big",
    "('x' | indent(-1000000000)) ~ big ~ big",
    "deep | json",
    "deep == deeper",
    "deep | map('first') | string",
    "huge * 10",
    "huge | string",
    "huge ** huge",
    "half | hash",
    "naive.timestamp()",
    "event.__class__",
    "event.__class__.__mro__",
    "event['__class__']",
    "event | attr('__class__')",
    "''.__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "event.data.get.__globals__",
    "event.data.get",
    "account.__init__",
    "account._secret",
    "account['_secret']",
    "account.shouted",
    "account.rename",
    "account.rename()",
    "account.__struct_fields__",
    "at.now()",
    "at.today()",
    "at.replace(year=1)",
    "helper.__code__",
    "helper",
    "broken()",
    "gone()",
    "self",
    "self.__init__",
    "cycler('a')",
    "joiner()",
    "namespace()",
    "lipsum()",
    "dict.fromkeys([1])",
    "event.data.update({'a': 1})",
    "event.data.pop('age')",
    "event.data.tags.append(1)",
    "event.data.tags.sort()",
    "event.data | xmlattr",
    "[3, 1, 2] | shuffle",
    "'x' | pprint",
    "'a' is sameas 'a'",
    "'a' is filter",
    "event.data.tags | map('map', 'map', 'map', 'map')",
    "[1, 'a', none] | sort",
    "[1, 'a'] | max",
    "{} < {}",
    "{[1]: 2}",
    "event.data[[1]]",
    "event.data.tags['a']",
    "event.data.tags[1:2:0]",
    "1[:2]",
    "'x'.split('')",
    "'x' | int('a', 99) ~ undefined_name",
]


def hostile_scope() -> dict[str, Any]:
    deep: list[Any] = []
    deeper: list[Any] = []
    for _ in range(100_000):
        deep, deeper = [deep], [deeper]

    def helper() -> int:
        return 1

    def broken() -> None:
        raise RuntimeError("a secret: hunter2")

    def gone() -> None:
        raise Gone("the link is no more")

    return scope() | {
        "big": BIG,
        "deep": deep,
        "deeper": deeper,
        "huge": 10**4000,
        "half": "\ud800",
        "naive": datetime(2030, 1, 1),  # noqa: DTZ001
        "helper": helper,
        "broken": broken,
        "gone": gone,
    }


@pytest.fixture(scope="module")
def hostile() -> dict[str, Any]:
    return hostile_scope()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_expressions_end_in_an_error(text: str, hostile: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError) as error:
        compile_expression(text).evaluate(hostile)
    assert len(error.value.message) < 400
    assert "x" * 61 not in error.value.message
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_functions_own_error_is_told(hostile: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError, match="the link is no more"):
        compile_expression("gone()").evaluate(hostile)
    with pytest.raises(ExpressionError, match=r"RuntimeError\)"):
        compile_expression("broken()").evaluate(hostile)


def test_functions_of_the_scope_are_called() -> None:
    def callback(name: str, *, expires: str = "never") -> str:
        return f"https://hub/{name}?{expires}"

    assert value_of("callback('verified')", callback=callback) == "https://hub/verified?never"
    assert value_of("run.link('v', expires='1h')", run={"link": callback}) == "https://hub/v?1h"


def test_cancellation_is_not_swallowed() -> None:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        value_of("stop()", stop=stop)


def test_data_wins_over_methods() -> None:
    data = {"items": [1], "keys": "k", "get": "g", "pop": 2}
    assert value_of("d.items", d=data) == [1]
    assert value_of("d.keys", d=data) == "k"
    assert value_of("d.pop", d=data) == 2
    assert value_of("d.items | length", d=data) == 1
    # What the sender named its fields does not break an author's call.
    assert value_of("d.get('pop')", d=data) == 2
    assert value_of("d.items()", d=data)[0] == ["items", [1]]


def test_underscored_keys_are_data() -> None:
    assert value_of("d._id ~ d.__typename", d={"_id": "1", "__typename": "User"}) == "1User"


def test_an_event_may_be_in_scope_as_it_is() -> None:
    event = Event(id="1", source="/s", type="t", data={"a": 1}, extensions={"region": "eu"})
    assert value_of('event.type == "t" and event.data.a == 1', event=event) is True
    assert value_of("event.extensions.region", event=event) == "eu"
    assert error_of("event.tipe", event=event).suggestion == "did you mean 'type'?"
    assert error_of("event.to_cloudevent()", event=event).message.startswith("event is an object")


def test_errors_show_no_values() -> None:
    secret = "hunter2-" + "s" * 100
    for text in ("env.x + 1", "env.x < 1", "env.x.y", "env | int + env.x", "1 in env.x", "env.x()"):
        error = error_of(text, env={"x": secret})
        assert "hunter2" not in error.message + (error.suggestion or "")


def test_long_expressions_are_cut_in_messages() -> None:
    error = error_of("nobody == '" + "y" * 500 + "'")
    assert "y" * 61 not in error.message
    assert error.expression is not None
    assert len(error.expression) > 500


def test_nothing_in_scope_is_changed() -> None:
    given_scope = scope()
    before = copy.deepcopy(given_scope)
    for text in (
        "event.data.tags | sort | reverse | list",
        "event.data.lines | sort(attribute='price') | map(attribute='sku')",
        "event.data.tags + event.data.tags",
        "event.data.lines | groupby('sku')",
        "event.data.lines | batch(2, 'fill')",
        "event.data.lines | slice(2, 'fill')",
        "event.data | dictsort(by='key')",
    ):
        compile_expression(text).evaluate(given_scope)
    assert given_scope == before


def test_sets_have_one_order() -> None:
    names = {f"n{i}" for i in range(50)}
    assert value_of("s", s=names) == sorted(names)
    assert value_of("s | list", s=names) == sorted(names)
    assert value_of("s | join(',')", s=frozenset(names)) == ",".join(sorted(names))
    assert value_of("[s] | json", s=names) == json.dumps([sorted(names)], separators=(",", ":"))


def test_every_process_gives_the_same() -> None:
    program = """if True:
        from hub.expressions import compile_expression, compile_template
        names = {f'n{i}' for i in range(100)}
        scope = {'s': names, 'd': {n: 1 for n in sorted(names)}}
        for text in ('s | list', 's | map("upper") | join', '[s, {"a": s}] | json', 's | hash',
                     's', 'd | unique', 's | groupby("0") | length | default(0)'):
            try:
                print(compile_expression(text).evaluate(scope))
            except Exception as error:
                print(error, error.suggestion)
        print(sorted(compile_template({'a': '${{ s }} ${{ d.n1 }}'}).names))
        try:
            compile_expression('d.n').evaluate(scope)
        except Exception as error:
            print(error.suggestion)
    """
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 9


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("event.data.x == vars.y", {"event", "vars"}),
        ("range(n) | map('upper') | join(sep)", {"n", "sep"}),
        ("dict(a=b)", {"b"}),
        ("range", {"range"}),
        ("callback('x')", {"callback"}),
        ("x is defined or y | default(z)", {"x", "y", "z"}),
        ("{'a': b}[c]", {"b", "c"}),
        ("1", set()),
    ],
)
def test_names(text: str, names: set[str]) -> None:
    assert compile_expression(text).names == names


def test_unknown_names() -> None:
    assert unknown_names(["vras", "event", "zzz"], ["event", "vars"]) == [
        ("vras", "did you mean 'vars'?"),
        ("zzz", None),
    ]
    assert unknown_names([], []) == []


def test_compiling_twice_is_once() -> None:
    expression = compile_expression("event.once")
    assert compile_expression("event.once") is expression
    assert isinstance(expression, Expression)
    assert expression.text == "event.once"


def test_lists_of_the_sender_may_be_longer_than_those_that_are_made() -> None:
    items = list(range(MAX_ITEMS * 3))
    assert value_of("items | map('string') | last", items=items) == str(MAX_ITEMS * 3 - 1)
    assert value_of("items | sum", items=items) == sum(items)
    assert len(value_of("range(" + str(MAX_ITEMS) + ")")) == MAX_ITEMS


def test_long_chains_of_or_are_fine() -> None:
    text = " or ".join(f"event.type == 't{i}'" for i in range(300))
    assert value_of(text) is False


names_in_scope = st.sampled_from(["a", "b", "c"])
leaves = (
    names_in_scope
    | st.integers(-(2**70), 2**70).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.text(max_size=8).map(json.dumps)
    | st.sampled_from(["none", "true", "a.b", "b['c']", "nobody", "range(5)"])
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(
                ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "and", "or", "in"]
            ),
            inner,
        ).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "upper",
                    "length",
                    "json",
                    "sort",
                    "first",
                    "list",
                    "int",
                    "unique",
                    "hash",
                    "string",
                    "default(1)",
                    "map('string')",
                    "sum",
                    "join",
                ]
            ),
        ).map(lambda t: f"({t[0]} | {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(inner, inner).map(lambda t: f"({t[0]})[{t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
    ),
    max_leaves=12,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "c", "items"]) | st.text(max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(expressions, plain, plain, plain)
def test_any_expression_gives_a_value_or_an_expression_error(
    text: str, a: Any, b: Any, c: Any
) -> None:
    values = {"a": a, "b": b, "c": c}
    before = repr(values)
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(repr(compile_expression(text).evaluate(values)))
        except ExpressionError as error:
            outcomes.append(f"{error.message} {error.suggestion}")
    assert outcomes[0] == outcomes[1]
    assert repr(values) == before


@given(st.text(st.sampled_from("ab01.'\"()[]{}|,:~+-*/%<>=! \\\n$") | st.characters(), max_size=60))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        compile_expression(text).evaluate({"a": {"b": [1]}, "b": 2})
    except ExpressionError as error:
        assert error.expression is not None  # noqa: PT017 - either outcome is fine
    try:
        compile_template(text).evaluate({})
    except ExpressionError as error:
        assert error.message  # noqa: PT017


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
).filter(lambda value: "${{" not in json.dumps(value))


@given(json_values)
def test_a_value_without_braces_is_its_own_template(value: Any) -> None:
    template = compile_template(value)
    assert template.is_static
    assert template.names == frozenset()
    assert template.source == value
    filled = template.evaluate({})
    assert filled == value
    assert json.dumps(filled) == json.dumps(value)


@given(st.text(max_size=20), st.text(max_size=20))
def test_escaped_braces_are_literal(before: str, after: str) -> None:
    before, after = before.rstrip("$").replace("${{", ""), after.replace("${{", "")
    if "${{" in before + after:
        return
    template = compile_template(before + "$${{" + after)
    assert template.is_static
    assert template.evaluate({}) == before + "${{" + after


@given(json_values)
def test_one_whole_expression_keeps_the_type(value: Any) -> None:
    assert compile_template("${{ x }}").evaluate({"x": value}) == value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("${{ event.data.age }}", 36),
        ("${{ event.data.age }} ", "36 "),
        ("a ${{ none }} b ${{ true }} c ${{ 1.0 }}", "a  b true c 1.0"),
        ("${{ [1, {'a': 'ü'}] }}!", '[1,{"a":"ü"}]!'),
        ("${{ at }}, ${{ length }}", "2030-01-31T09:00:00Z, 2h"),
        ("x ${{ '}}' }} y", "x }} y"),
        ('x ${{ "a\\"}}" }} y', 'x a"}} y'),
        ("x ${{ {'a': {'b': 1}}.a.b }} y", "x 1 y"),
        ("${{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("${{event.id}}${{event.id}}", "e1e1"),
        ("don't ${{ event.id }} can't", "don't e1 can't"),
        ("$${{ event.id }} ${{ event.id }}", "${{ event.id }} e1"),
        ("$$${{ x", "$${{ x"),
        ("${ {{ }} $", "${ {{ }} $"),
        ({"${{ event.id }}": "${{ event.id }}"}, {"${{ event.id }}": "e1"}),
        ({"a": [{"b": "${{ event.data.tags }}"}, 1]}, {"a": [{"b": ["b", "a", "B"]}, 1]}),
        (("a", "${{ 1 }}"), ["a", 1]),
        ("${{ event.data.who | default(none) }}", None),
    ],
)
def test_templates(source: Any, expected: Any) -> None:
    value = compile_template(source).evaluate(scope())
    assert value == expected
    assert type(value) is type(expected)


def test_a_template_knows_its_names() -> None:
    template = compile_template(
        {"to": "${{ vars.email }}", "x": ["${{ event.id }} ${{ range(n) }}"]}
    )
    assert template.names == {"vars", "event", "n"}
    assert not template.is_static


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ab ${{ x", "at offset 3 is not closed"),
        ("${{ '}}", "at offset 0 is not closed"),
        ("${{ (a }}", "is not closed"),
        ("${{ a }} ${{ {'a': 1}", "at offset 9 is not closed"),
        ({"a": ["x${{ }}"]}, "is empty"),
        ("${{ 1 + }} x", "cannot be read"),
        ("${{ a | nope }}", "unknown filter"),
    ],
)
def test_broken_templates_are_refused(source: Any, says: str) -> None:
    with pytest.raises(ExpressionError, match=says):
        compile_template(source)


def test_a_template_nested_too_deeply_is_refused() -> None:
    value: Any = "${{ x }}"
    for _ in range(200):
        value = [value]
    with pytest.raises(ExpressionError, match="nested more than"):
        compile_template(value)


@pytest.mark.timeout(10)
def test_a_template_has_one_budget() -> None:
    copies = compile_template([f"{i} ${{{{ big }}}}" for i in range(20)])
    kept = compile_template({str(i): "${{ big }}" for i in range(20)})
    for template in (copies, kept):
        with pytest.raises(ExpressionError, match="too much data") as error:
            template.evaluate({"big": "x" * (MAX_TEXT // 2 + MAX_TEXT // 4)})
        assert error.value.expression is not None
        assert error.value.suggestion is None


def test_doubling_a_value_again_and_again_ends() -> None:
    double = compile_template({"left": "${{ x }}", "right": "${{ x }}"})

    def doubled(times: int) -> Any:
        result: Any = 1
        for _ in range(times):
            result = double.evaluate({"x": result})
        return result

    assert doubled(3)["left"]["right"] == {"left": 1, "right": 1}
    with pytest.raises(ExpressionError, match="too much data"):
        doubled(64)


def test_a_template_says_which_of_its_expressions_failed() -> None:
    template = compile_template({"a": "${{ event.id }}", "b": "hi ${{ event.idd }}"})
    with pytest.raises(ExpressionError) as error:
        template.evaluate(scope())
    assert error.value.expression == "event.idd"
    assert error.value.suggestion == "did you mean 'id'?"


def test_filled_containers_are_new() -> None:
    source = {"a": [1, "${{ event.id }}"], "b": []}
    template = compile_template(source)
    first = template.evaluate(scope())
    first["a"].append(2)
    first["b"].append(2)
    assert template.evaluate(scope()) == {"a": [1, "e1"], "b": []}
    assert source == {"a": [1, "${{ event.id }}"], "b": []}
