"""YAML, edited in place: adding and removing a member changes no other line."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from cekura_dashboards_mcp.cli.jsonc import NotEditable
from cekura_dashboards_mcp.cli.yaml import Yaml
from support import Json

ENTRY: Json = {
    "cmd": "x",
    "args": ["serve", "# no comment"],
    "envs": {"ZONE": "Europe/Berlin", "N": "08", "T": "true"},
    "n": 1,
}
WITH_MEMBERS = [
    "extensions: {a: {cmd: x}}\n",
    "{extensions: {a: {cmd: x}}, z: 1}\n",
    "# top\nversion: 1.2.1\n\nextensions:   # mine\n    # first\n    developer:\n        args:\n        - a   # aa\n\n    # second\n    memory: {enabled: true}\n\n# after\nGOOSE_MODE: 'auto'\n",
    "extensions:\r\n  a:\r\n    cmd: x\r\nz: 0o14\r\n",
    "a: &x {q: 1}\nextensions:\n  b:\n    <<: *x\n    t: |\n      text\n       more\n",
    "---\nextensions:\n  a: {x: !secret y}\n",
    "extensions:\n  a: >\n    ours: no\n",
]
WITHOUT_MEMBERS = [
    "", "# only\n", "a: 1", "a: 1\n", "extensions:\n", "extensions: # c\n\n# d\nz: 1\n", "extensions: {}\nz: 1\n",
    "extensions: ~\nz: 1\n", "{}\n", "---\n# none\n",
]  # fmt: skip


def loaded(text: str) -> Json:
    yaml: Any = YAML(typ="rt", pure=True)
    return yaml.load(text) or {}


@pytest.mark.parametrize("text", WITH_MEMBERS)
def test_adding_and_removing_a_member_restores_the_text(text: str) -> None:
    added = Yaml(text).with_member("extensions", "ours", ENTRY)
    assert loaded(added)["extensions"]["ours"] == ENTRY
    rest = iter(added)
    assert all(char in rest for char in text), "all text remains in order"
    assert Yaml(added).without_member("extensions", "ours") == text
    changed = Yaml(added).with_member("extensions", "ours", {"cmd": "y"})
    assert loaded(changed)["extensions"]["ours"] == {"cmd": "y"}
    assert Yaml(changed).with_member("extensions", "ours", ENTRY) == added


@pytest.mark.parametrize("text", WITHOUT_MEMBERS)
def test_the_first_member_gives_valid_yaml_and_keeps_comments(text: str) -> None:
    added = Yaml(text).with_member("extensions", "ours", ENTRY)
    assert loaded(added) == {**loaded(text), "extensions": {"ours": ENTRY}}
    left = Yaml(added).without_member("extensions", "ours")
    assert loaded(left) == {**loaded(text), "extensions": {}}
    for comment in ("# only", "# c", "# d", "# none"):
        assert (comment in added, comment in left) == (comment in text,) * 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("extensions:\n  ours: {cmd: x} # ours\n  # b\n  b: 1\n", "extensions:\n  # b\n  b: 1\n"),
        ("extensions: {ours: {cmd: x}, b: 1}\n", "extensions: {b: 1}\n"),
        ("extensions: {a: 1, ours: {cmd: x}, b: 1}\n", "extensions: {a: 1, b: 1}\n"),
        ("extensions:\n  a: 1\n  ours:\n    args:\n    - x\n\n# z\nz: 1", "extensions:\n  a: 1\n\n# z\nz: 1"),
    ],
)
def test_a_member_can_be_removed_at_any_position(text: str, left: str) -> None:
    assert Yaml(text).without_member("extensions", "ours") == left


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML: .*line 1, column 5"),
        ("a: 1\na: 2", "is not valid YAML"),
        ("- a", "contains no mapping"),
        ("extensions: [a]", "is not a mapping"),
        ("a: 1\n...\n", "cannot be edited in place|is not valid YAML"),
    ],
)
def test_invalid_yaml_is_rejected_as_not_editable(text: str, message: str) -> None:
    with pytest.raises(NotEditable, match=message):
        Yaml(text).with_member("extensions", "ours", ENTRY)
