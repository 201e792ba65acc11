"""JSON with comments, edited in place: adding and removing a member changes no other byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.text import NotJson
from cekura_dashboards_mcp.cli.jsonc import Jsonc, NotEditable
from support import Json

ENTRY: Json = {"command": "x", "args": ["serve", "// no comment", "/* nor this */", ",]"]}
TEXTS = [
    '{"servers": {"a": 1}}',
    '{"servers": {"a": 1,}}',
    '{"servers":{"a":{"b":[1,2]}},"z":0}',
    '{\n  "servers": {\n    "a": 1\n  }\n}\n',
    '{\n  "servers": {\n    "a": 1,\n  },\n}',
    '{\r\n\t"servers": {\r\n\t\t"a": {},\r\n\t\t// "b": {}\r\n\t}\r\n}\r\n',
    '// first\n{ /* second */\n    "servers": {\n        "a": 1 // third\n    } // fourth\n}\n// last',
    '{\n  "servers": {\n    "a": 1, // third\n    /* fourth\n       , } */\n  }\n}',
    '{\n  "servers": { "a": 1 }\n}',
    '{\n  "servers": {\n    "a": 1}}',
    '{"other": "\\"servers\\": {", "servers": {"a": "}, // \\\\"}}',
    '{"serv\\u0065rs": {"a": 1}, "x": {"servers": {"b": 2}}}',
    '{"servers": {"a": 1, "a": 2}, "x": 1, "x": 2}',
]
EMPTY = [
    "", " \n", "// nothing yet", "{}", "{ }", "{\n}\n", "{ // none\n}", '{"servers": {}}', '{"servers": { }}', '{"a": 1}', '{\n\t"a": 1, // one\n}',
    '{\n  "servers": {\n  }\n}', '{\n  "servers": {\n    // none yet\n  }\n}', '{"a": 1,}', '{\n"a": 1\n}',
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_adding_and_removing_a_member_restores_the_text(text: str) -> None:
    before = Jsonc(text, comments=True)
    added = before.with_member("servers", "ours", ENTRY)
    result = Jsonc(added, comments=True)
    assert result.member("servers", "ours") == ENTRY
    assert result.without_member("servers", "ours") == text
    rest = iter(added)
    assert all(char in rest for char in text), "all text remains in order"
    changed = result.with_member("servers", "ours", {"other": 1})
    assert Jsonc(changed, comments=True).with_member("servers", "ours", ENTRY) == added


@pytest.mark.parametrize("text", EMPTY)
def test_the_first_member_gives_valid_json_and_keeps_comments(text: str) -> None:
    before = Jsonc(text, comments=True)
    added = before.with_member("servers", "ours", ENTRY)
    result = Jsonc(added, comments=True)
    assert result.value == {**before.value, "servers": {"ours": ENTRY}}
    left = result.without_member("servers", "ours")
    assert Jsonc(left, comments=True).value == {**before.value, "servers": {}}
    for comment in ("// nothing yet", "// none yet", "// none", "// one"):
        assert (comment in added, comment in left) == (comment in text,) * 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"servers": {"ours": {}, "b": 1}}', {"b": 1}),
        ('{"servers": {"a": 1, "ours": {}, "b": 1}}', {"a": 1, "b": 1}),
        ('{"servers": {\n "ours": {}, // ours\n "b": 1 // b\n}}', {"b": 1}),
        ('{"servers": {"a": 1, // a\n "ours": {}}}', {"a": 1}),
        ('{"servers": {"a": 1 /* a */ , /* b */ "ours": {} /* c */}}', {"a": 1}),
        ('{"servers": {"ours": {} // only\n}}', {}),
        ('{"servers": {"ours": {},}}', {}),
    ],
)
def test_a_member_can_be_removed_at_any_position(text: str, left: Json) -> None:
    result = Jsonc(text, comments=True).without_member("servers", "ours")
    assert Jsonc(result, comments=True).value == {"servers": left}
    assert all(
        comment in result for comment in ("// b", "// a", "/* a */", "/* b */", "/* c */", "// only") if comment in text
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\/*,{}[]: é\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/\"'", max_size=3), inner, max_size=3),
    max_leaves=8,
)
SPACE = st.sampled_from(["", " ", "\n", "\r\n\t", " // c, }\n", "/* , */", "\n    "])


@st.composite
def json_text(draw: st.DrawFn, value: Any) -> str:
    """JSON text of a value with whitespace, comments and trailing commas at every allowed place."""
    items: list[tuple[str | None, Any]]
    if is_object(value) and value:
        items = [*value.items()]
    elif is_list(value) and value:
        items = [(None, item) for item in value]
    else:
        return json.dumps(value)
    parts = [
        ("" if name is None else f"{draw(SPACE)}{json.dumps(name)}{draw(SPACE)}:")
        + f"{draw(SPACE)}{draw(json_text(item))}{draw(SPACE)}"
        for name, item in items
    ]
    opened, closed = "{}" if is_object(value) else "[]"
    return f"{opened}{','.join(parts)}{draw(st.sampled_from(['', ',']))}{draw(SPACE)}{closed}"


@given(st.data())
def test_arbitrary_json_with_comments_can_be_edited_and_restored(data: st.DataObject) -> None:
    names = st.text("ab/\"'", max_size=3)
    servers = data.draw(st.dictionaries(names, VALUES, min_size=1, max_size=3))
    whole = {**data.draw(st.dictionaries(names, VALUES, max_size=2)), "servers": servers}
    text = data.draw(SPACE) + data.draw(json_text(whole)) + data.draw(SPACE)
    result = Jsonc(text, comments=True)
    assert result.value == whole
    added = Jsonc(result.with_member("servers", "ours", ENTRY), comments=True)
    assert added.value == {**whole, "servers": {**servers, "ours": ENTRY}}
    left = added.without_member("servers", "ours")
    assert Jsonc(left, comments=True).value == whole
    assert "".join(left.split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"servers": {\n  "a": 1,,\n}}', "line 2"),
        ('{"servers": [,]}', "is not JSON"),
        ('{"servers": {,}}', "is not JSON"),
        ('{"servers": {} /* not closed }', "is not JSON"),
        ('{"servers": {} "a": 1}', "is not JSON"),
        ("[]", "contains no JSON object"),
        ("3", "contains no JSON object"),
        ('{"a": ' * 200 + "1" + "}" * 200, "nested more than 100 levels deep"),
        ('{"a": ' + "1" * 5000 + "}", "a number of more than 4300 digits"),
    ],
)
def test_invalid_json_with_comments_is_rejected_with_its_cause(text: str, message: str) -> None:
    with pytest.raises(NotJson, match=message):
        Jsonc(text, comments=True)


@pytest.mark.parametrize("text", ['{"a": 1,}', "// c\n{}", '{"a": /* c */ 1}'])
def test_comments_are_rejected_unless_allowed(text: str) -> None:
    with pytest.raises(NotJson, match="is not JSON"):
        Jsonc(text, comments=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"servers": {},\n "servers": {"a": 1}}', 'contains "servers" 2 times, in lines 1 and 2'),
        ('{"servers": {"ours": 1,\n\n "ours": 2}}', 'contains "ours" 2 times, in lines 1 and 3'),
        ('{"servers": []}', '"servers" is not a JSON object'),
        ('{"servers": null}', '"servers" is not a JSON object'),
    ],
)
def test_ambiguous_members_are_rejected_as_not_editable(text: str, message: str) -> None:
    result = Jsonc(text, comments=True)
    with pytest.raises(NotEditable, match=message):
        result.with_member("servers", "ours", ENTRY)
    with pytest.raises(NotEditable, match=message):
        result.without_member("servers", "ours")
